import JobRuntime
import TestSupport
import Testing

@testable import Warehouse
@testable import WarehouseKit

@Suite struct JobLeaseTests {
    private let now = instant("2026-01-31T00:00:00Z")

    @Test(arguments: Backend.allCases)
    func doesTheWorkAndFreesTheLease(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("lease-works"))

        for holder in ["one", "two"] {
            let isDone = try await lease(fixture, "daily", holder).withLease {
                let row = try #require(try await rows(fixture).first)
                #expect(try row.optionalString("holder") == "daily \(holder)")
                #expect(try row.optionalTimestamp("acquired_at") == now)
                #expect(try row.timestamp("expires_at") == now.adding(.seconds(600)))
            }
            #expect(isDone)
        }

        let row = try #require(try await rows(fixture).first)
        #expect(try await rows(fixture).count == 1)
        #expect(try row.optionalString("holder") == nil)
        #expect(try row.optionalString("token") == nil)
        #expect(try row.timestamp("expires_at") == now)
    }

    @Test(arguments: Backend.allCases)
    func aHeldLeaseSkipsTheWork(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("lease-held"))
        let report = ReportFixture()

        try await lease(fixture, "daily", "one").withLease {
            let isDone = try await lease(fixture, "daily", "two", report).withLease {
                Issue.record("the work was done under a lease that another one holds")
            }
            #expect(!isDone)
        }

        #expect(report.failures.isEmpty)
        #expect(
            report.skipReason
                == "the lease of daily is held by daily one, at the latest until 2026-01-31T00:10:00.000000Z")
    }

    @Test(arguments: [(599.999_999, false), (600, true), (601, true)])
    func anExpiredLeaseIsFree(after seconds: Double, isFree: Bool) async throws {
        let fixture = try await QuotaFixture(Backend.allCases[0].warehouse("lease-expired"))
        // Take, read, seed, take; the release never comes.
        let killed = FaultyWarehouse(fixture.warehouse, .killedBefore(4))
        try await lease(fixture, "daily", "one", on: killed).withLease {}
        #expect(killed.statements == 5)
        let later = now.adding(.seconds(seconds))

        let isDone = try await lease(fixture, "daily", "two", at: later).withLease {}

        #expect(isDone == isFree)
    }

    @Test func processesOutsideOfCloudRunAreDifferentHolders() {
        #expect(CloudRunTask().leaseHolder != CloudRunTask().leaseHolder)
        #expect(
            CloudRunTask(execution: "e", index: 0).leaseHolder != CloudRunTask(execution: "e", index: 1).leaseHolder)
    }

    @Test(arguments: Backend.allCases)
    func aLostLeaseIsNotReleasedForTheOther(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("lease-lost"))
        let report = ReportFixture()
        let later = now.adding(.seconds(700))

        try await lease(fixture, "daily", "one", report).withLease {
            try await lease(fixture, "daily", "two", at: later, on: FaultyWarehouse(fixture.warehouse)).withLease {
                try await lease(fixture, "daily", "one").withLease {
                    Issue.record("the lease was taken while another one held it")
                }
                #expect(try await rows(fixture).first?.optionalString("holder") == "daily two")
            }
            try await fixture.run(
                "UPDATE `scheduler_jobs.job_leases` SET token = 'other', holder = 'three', expires_at = @until WHERE true",
                ["until": .timestamp(later)])
        }

        #expect(try await rows(fixture).first?.optionalString("holder") == "three")
        #expect(report.failures.map(\.subject) == ["lease of daily"])
    }

    @Test(arguments: Backend.allCases)
    func aLeaseOnSeveralJobsTakesAllOrNone(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("lease-several"))

        try await lease(fixture, "daily", "one").withLease {
            let both = try await isFree(lease(fixture, "monthly", "two", excluding: ["daily"]))
            let other = try await isFree(lease(fixture, "monthly", "three"))
            #expect(!both)
            #expect(other)
        }
        try await lease(fixture, "monthly", "two", excluding: ["daily"]).withLease {
            let one = try await isFree(lease(fixture, "daily", "one"))
            let unconcerned = try await isFree(lease(fixture, "stale", "four"))
            #expect(!one)
            #expect(unconcerned)
        }

        #expect(try await isFree(lease(fixture, "daily", "one")))
    }

    /// What two concurrent seedings leave behind on BigQuery.
    @Test(arguments: Backend.allCases)
    func severalRowsOfAJobAreOneLease(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("lease-rows"))
        let statements = LeaseStatements(jobs: ["daily"], holder: "one", token: "t1")
        _ = try await fixture.warehouse.query(statements.seed(at: now))
        let other = LeaseStatements(jobs: ["daily"], holder: "two", token: "t2")
        let until = now.adding(.seconds(600))
        // One execution has seen and taken its own row when that of the other one turns up.
        #expect(try await fixture.warehouse.query(statements.take(at: now, until: until)).affectedRows == 1)
        try await fixture.run(
            "INSERT INTO `scheduler_jobs.job_leases` (job, expires_at, updated_at) VALUES ('daily', @now, @now)",
            ["now": .timestamp(now)])

        #expect(try await fixture.warehouse.query(other.take(at: now, until: until)).affectedRows == 0)
        #expect(try await fixture.warehouse.query(statements.release(at: now)).affectedRows == 1)
        #expect(try await fixture.warehouse.query(other.take(at: now, until: until)).affectedRows == 2)
        #expect(try await fixture.warehouse.query(statements.take(at: now, until: until)).affectedRows == 0)
    }

    /// A new job for the same statement, after the reply to the first one was lost, finds its own lease.
    @Test(arguments: Backend.allCases)
    func aLeaseThatIsTakenTwiceIsStillOnes(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("lease-again"))
        let statements = LeaseStatements(jobs: ["daily"], holder: "daily one/0/0", token: "t1")
        _ = try await fixture.warehouse.query(statements.seed(at: now))
        let take = statements.take(at: now, until: now.adding(.seconds(600)))

        #expect(try await fixture.warehouse.query(take).affectedRows == 1)
        #expect(try await fixture.warehouse.query(take).affectedRows == 1)
    }

    @Test(arguments: Backend.allCases)
    func oneOfManyFirstAcquisitionsWins(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("lease-race"))
        let inside = Occupancy()
        let leases = (0..<8).map { lease(fixture, "daily", "holder \($0)") }

        try await withThrowingTaskGroup(of: Bool.self) { group in
            for lease in leases {
                group.addTask {
                    try await lease.withLease {
                        inside.enter()
                        try await fixture.run("SELECT 1 AS one")
                        inside.leave()
                    }
                }
            }
            try await group.waitForAll()
        }

        #expect(inside.most == 1)
    }

    /// Whatever statement of an acquisition dies or loses its reply, the same holder can go on, and others after the expiry.
    @Test(arguments: (0..<5).flatMap { [FaultyWarehouse.Fault.killedBefore($0), .killedDuring($0), .replyLost($0)] })
    func aBrokenAcquisitionBlocksNobodyForLong(_ fault: FaultyWarehouse.Fault) async throws {
        let fixture = try await QuotaFixture(Backend.allCases[0].warehouse("lease-broken"))
        let broken = FaultyWarehouse(fixture.warehouse, fault)
        _ = try? await lease(fixture, "daily", "one", on: broken).withLease {}

        #expect(try await isFree(lease(fixture, "daily", "one")))
        _ = try? await lease(fixture, "daily", "one", on: FaultyWarehouse(fixture.warehouse, fault)).withLease {}
        #expect(try await isFree(lease(fixture, "daily", "two", at: now.adding(.seconds(600)))))
    }

    @Test(arguments: Backend.allCases)
    func withoutItsTableItSaysToRunBootstrap(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("lease-nothing")
        let report = ReportFixture()

        let error = await #expect(throws: WarehouseError.self) {
            try await JobLease(
                warehouse: warehouse, job: "daily", holder: "one", validity: .seconds(60), report: report.report
            ).withLease {}
        }

        #expect(error?.description.contains("run bootstrap first") == true)
        #expect(report.warnings.isEmpty)
    }

    /// Takes the lease, if it can be taken, and frees it again.
    private func isFree(_ lease: JobLease) async throws -> Bool {
        try await lease.withLease {}
    }

    private func lease(
        _ fixture: QuotaFixture, _ job: String, _ holder: String, _ report: ReportFixture = ReportFixture(),
        at instant: Timestamp? = nil, on other: (any Warehouse)? = nil, excluding others: [String] = []
    ) -> JobLease {
        JobLease(
            other ?? fixture.warehouse, job, holder, report, clock: LeapingClock(), from: instant ?? now,
            excluding: others)
    }

    private func rows(_ fixture: QuotaFixture) async throws -> [Row] { try await fixture.leases() }
}
