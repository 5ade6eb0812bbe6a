import HTTPTransport
import JobRuntime
import TestSupport
import Testing

@testable import Warehouse
@testable import WarehouseKit

/// Rows of `job_leases` that no acquisition can have left behind. A run that met one was skipped, as was every run after it.
@Suite struct LeaseFaultTests {
    private static let now = instant("2026-01-31T00:00:00Z")

    /// A lease of this job lasts 600 seconds, and clocks may differ by the grace of 120 seconds.
    private static let rows: [(name: String, row: [String: SQLValue], fault: String?)] = [
        ("right", [:], nil),
        ("seven days, of a run with another setting", ["expires_at": "2026-02-06T23:59:00Z"], nil),
        ("for ever", ["expires_at": "9999-12-31T00:00:00Z"], "which is longer than any lease"),
        ("eight days", ["expires_at": "2026-02-08T00:00:00Z"], "which is longer than any lease"),
        ("without a token", ["token": .null(.string)], "has no token"),
        ("with an empty token", ["token": ""], "has no token"),
        ("by nobody", ["holder": ""], "which is not JOB EXECUTION/TASK/ATTEMPT"),
        ("by a word", ["holder": "deploy"], "which is not JOB EXECUTION/TASK/ATTEMPT"),
        ("by a clock that is ahead", ["acquired_at": "2026-01-31T00:01:59Z"], nil),
        (
            "from the future", ["acquired_at": "2026-01-31T01:00:00Z", "expires_at": "2026-01-31T02:00:00Z"],
            "is to come"
        ),
        (
            "kept for an hour", ["acquired_at": .null(.timestamp), "expires_at": "2026-01-31T01:00:00Z"],
            "holder has ended"
        ),
        ("as long as a lease lasts", ["acquired_at": "2026-01-30T23:48:00Z"], nil),
        ("longer", ["acquired_at": "2026-01-30T23:47:59Z"], "longer than the 600 s of LEASE_SECONDS"),
    ]

    @Test(arguments: Backend.allCases, rows.indices)
    func aLeaseThatCannotBeRightIsAFailure(_ backend: Backend, _ index: Int) async throws {
        let (name, changes, fault) = Self.rows[index]
        let warehouse = try await backend.warehouse("lease-fault-\(index)").bootstrapped()
        let right: [String: SQLValue] = [
            "job": "daily", "holder": "daily other-x7/0/0", "token": "t", "acquired_at": .timestamp(Self.now),
            "expires_at": "2026-01-31T00:10:00Z", "updated_at": .timestamp(Self.now),
        ]
        try await warehouse.insert(into: "scheduler_jobs.job_leases", [right.merging(changes) { $1 }])
        let report = ReportFixture()

        let isDone = try await lease(warehouse, report).withLease {}

        #expect(!isDone)
        guard let fault else {
            #expect(report.skipReason != nil, "\(name)")
            #expect(report.failures.isEmpty)
            return
        }
        #expect(report.skipReason == nil, "\(name)")
        #expect(report.failures.map(\.subject) == ["lease of daily"])
        #expect(report.failures.first?.reason.contains(fault) == true)
        #expect(report.failures.first?.reason.contains("bq query") == true)
    }

    /// The command in the message frees the lease.
    @Test(arguments: Backend.allCases)
    func theCommandInTheMessageFreesIt(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("lease-freed").bootstrapped()
        try await warehouse.insert(
            into: "scheduler_jobs.job_leases",
            [["job": "daily", "holder": "daily x/0/0", "token": "", "expires_at": "9999-12-31T00:00:00Z"]])
        let report = ReportFixture()
        try await lease(warehouse, report).withLease {}
        let parts = try #require(report.failures.first?.reason.split(separator: "\"").map(String.init))
        let sql = try #require(parts.first { $0.hasPrefix("UPDATE ") })

        // SQLite writes its own times differently.
        try await warehouse.run(
            sql.replacing("scheduler_jobs.job_leases", with: "`scheduler_jobs.job_leases`")
                .replacing("CURRENT_TIMESTAMP()", with: "@now"), ["now": .timestamp(Self.now)])

        #expect(try await lease(warehouse, ReportFixture()).withLease {})
    }

    /// Another job's lease may be longer, and is waited for.
    @Test func aLongerLeaseOfAnotherJobIsNoFault() async throws {
        let warehouse = try await Backend.embedded.warehouse("lease-other-job").bootstrapped()
        try await warehouse.insert(
            into: "scheduler_jobs.job_leases",
            [
                [
                    "job": "daily", "holder": "monthly x/0/0", "token": "t", "acquired_at": "2026-01-30T23:00:00Z",
                    "expires_at": "2026-01-31T00:01:00Z",
                ]
            ])

        #expect(try await lease(warehouse, ReportFixture()).withLease {})
    }

    /// Take, read, seed, take, work; then the release.
    @Test(arguments: [(1, 0), (2, 1)])
    func aRefusedReleaseIsTriedOnceMoreAndThenAFailure(refusals: Int, failures: Int) async throws {
        let warehouse = try await Backend.embedded.warehouse("lease-refused").bootstrapped()
        let report = ReportFixture()
        let refusing = FaultyWarehouse(
            warehouse,
            beforeEach: { index in
                guard (5..<5 + refusals).contains(index) else { return }
                throw WarehouseError(.accessDenied, operation: "release", message: "no access", certainty: .notDone)
            })
        let lease = JobLease(refusing, "daily", "one/0/0", report, clock: LeapingClock(), from: Self.now)

        try await lease.withLease { _ = try await lease.sql.query(Statement("work", "SELECT 1 AS one")) }

        #expect(report.failures.count == failures)
        #expect(report.failures.allSatisfy { $0.reason.contains("refuses to release the lease") })
        #expect(report.warnings.isEmpty)
        #expect((try await warehouse.leases().first?.optionalString("holder") == nil) == (failures == 0))
    }

    @Test(arguments: Backend.allCases)
    func aReleaseThatIsDoneTwiceIsNoFailure(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("lease-twice").bootstrapped()
        let report = ReportFixture()
        let repeating = RepeatedRelease(warehouse: warehouse) {}
        let lease = JobLease(repeating, "daily", "one/0/0", report, clock: LeapingClock(), from: Self.now)

        try await lease.withLease { _ = try await lease.sql.query(Statement("work", "SELECT 1 AS one")) }

        #expect(report.failures.isEmpty && report.warnings.isEmpty)
        #expect(try await warehouse.leases().first?.optionalString("holder") == nil)
    }

    /// Nobody can know then whether the first release found the lease.
    @Test(arguments: Backend.allCases)
    func aReleaseThatIsDoneTwiceIsAFailureIfAnotherExecutionTookTheLeaseInBetween(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("lease-twice-taken").bootstrapped()
        let report = ReportFixture()
        let other = JobLease(warehouse, "daily", "two/0/0", ReportFixture(), clock: LeapingClock(), from: Self.now)
        let repeating = RepeatedRelease(warehouse: warehouse) { try await other.acquire() }
        let lease = JobLease(repeating, "daily", "one/0/0", report, clock: LeapingClock(), from: Self.now)

        try await lease.withLease { _ = try await lease.sql.query(Statement("work", "SELECT 1 AS one")) }

        #expect(report.failures.map(\.reason).contains { $0.hasPrefix("lost before the work was done") })
        #expect(try await warehouse.leases().first?.string("holder") == "daily two/0/0")
    }

    @Test func aReleaseThatFindsNoRowAndCannotBeConfirmedIsAFailure() async throws {
        let warehouse = try await Backend.embedded.warehouse("lease-unconfirmed").bootstrapped()
        let report = ReportFixture()
        let repeating = RepeatedRelease(warehouse: warehouse) {
            throw WarehouseError(.transport, operation: "confirm", message: "gone", certainty: .unknown)
        }
        let lease = JobLease(repeating, "daily", "one/0/0", report, clock: LeapingClock(), from: Self.now)

        try await lease.withLease { _ = try await lease.sql.query(Statement("work", "SELECT 1 AS one")) }

        #expect(report.failures.map(\.reason).contains { $0.contains("nobody knows") })
    }

    /// An operator frees one of two leases while the job works: its fence is closed from then on.
    @Test func oneLostLeaseOfTwoIsAFailure() async throws {
        let warehouse = try await Backend.embedded.warehouse("lease-half").bootstrapped()
        let report = ReportFixture()
        let lease = JobLease(
            warehouse: warehouse, job: "monthly", excluding: ["daily"], holder: "one/0/0", validity: .seconds(600),
            report: report.report, now: { Self.now })

        try await lease.withLease {
            _ = try await warehouse.query(
                Statement(
                    "free by hand",
                    "UPDATE `scheduler_jobs.job_leases` SET holder = NULL, token = NULL WHERE job = 'daily'"))
        }

        #expect(report.failures.map(\.reason).contains { $0.hasPrefix("lost before the work was done") })
    }

    private func lease(_ warehouse: any Warehouse, _ report: ReportFixture) -> JobLease {
        JobLease(warehouse, "daily", "mine-y8/0/0", report, clock: LeapingClock(), from: Self.now)
    }
}

/// A warehouse that does each release twice, as after a lost reply, and answers with the second one.
private struct RepeatedRelease: SQLWarehouse {
    let warehouse: any Warehouse
    /// Runs between the two, or before the confirmation.
    let between: @Sendable () async throws -> Void

    func query(_ statement: Statement) async throws -> QueryResult {
        if statement.purpose.hasPrefix("release") {
            _ = try await warehouse.query(statement)
            do { try await between() } catch is WarehouseError {}
        } else if statement.purpose.hasPrefix("confirm") {
            try await between()
        }
        return try await warehouse.query(statement)
    }

    func merge(_ merge: MergeStatement) async throws -> MergeResult { try await warehouse.merge(merge) }
}
