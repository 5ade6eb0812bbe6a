import JobRuntime
import Synchronization
import TestSupport
import Testing

@testable import Warehouse
@testable import WarehouseKit

@Suite struct JobLeaseTests {
    private let now = instant("2026-01-31T00:00:00Z")

    @Test(arguments: Backend.allCases)
    func doesTheWorkAndFreesTheLease(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("lease-works").bootstrapped()

        for holder in ["one", "two"] {
            let isDone = try await lease(warehouse, "daily", holder).withLease {
                let row = try #require(try await rows(warehouse).first)
                #expect(try row.optionalString("holder") == "daily \(holder)")
                #expect(try row.optionalTimestamp("acquired_at") == now)
                #expect(try row.timestamp("expires_at") == now.adding(.seconds(600)))
            }
            #expect(isDone)
        }

        let row = try #require(try await rows(warehouse).first)
        #expect(try await rows(warehouse).count == 1)
        #expect(try row.optionalString("holder") == nil)
        #expect(try row.string("token").hasPrefix("released "))
        #expect(try row.timestamp("expires_at") == now)
    }

    @Test(arguments: Backend.allCases)
    func aHeldLeaseSkipsTheWork(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("lease-held").bootstrapped()
        let report = ReportFixture()

        try await lease(warehouse, "daily", "one").withLease {
            let isDone = try await lease(warehouse, "daily", "two", report).withLease {
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
        let warehouse = try await Backend.embedded.warehouse("lease-expired").bootstrapped()
        // Take, read, seed, take; the release never comes.
        let killed = FaultyWarehouse(warehouse, .killedBefore(4))
        try await lease(warehouse, "daily", "one", on: killed).withLease {}
        #expect(killed.statements == 5)
        let later = now.adding(.seconds(seconds))

        let isDone = try await lease(warehouse, "daily", "two", at: later).withLease {}

        #expect(isDone == isFree)
    }

    @Test func processesOutsideOfCloudRunAreDifferentHolders() {
        #expect(CloudRunTask().leaseHolder != CloudRunTask().leaseHolder)
        #expect(
            CloudRunTask(execution: "e", index: 0).leaseHolder != CloudRunTask(execution: "e", index: 1).leaseHolder)
    }

    @Test(arguments: Backend.allCases)
    func aLostLeaseIsNotReleasedForTheOther(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("lease-lost").bootstrapped()
        let report = ReportFixture()
        let later = now.adding(.seconds(700))

        try await lease(warehouse, "daily", "one", report).withLease {
            try await lease(warehouse, "daily", "two", at: later, on: FaultyWarehouse(warehouse)).withLease {
                try await lease(warehouse, "daily", "one").withLease {
                    Issue.record("the lease was taken while another one held it")
                }
                #expect(try await rows(warehouse).first?.optionalString("holder") == "daily two")
            }
            try await warehouse.run(
                "UPDATE `scheduler_jobs.job_leases` SET token = 'other', holder = 'three', expires_at = @until WHERE true",
                ["until": .timestamp(later)])
        }

        #expect(try await rows(warehouse).first?.optionalString("holder") == "three")
        #expect(report.failures.map(\.subject) == ["lease of daily"])
    }

    @Test(arguments: Backend.allCases)
    func aLeaseOnSeveralJobsTakesAllOrNone(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("lease-several").bootstrapped()

        try await lease(warehouse, "daily", "one").withLease {
            let both = try await isFree(lease(warehouse, "monthly", "two", excluding: ["daily"]))
            let other = try await isFree(lease(warehouse, "monthly", "three"))
            #expect(!both)
            #expect(other)
        }
        try await lease(warehouse, "monthly", "two", excluding: ["daily"]).withLease {
            let one = try await isFree(lease(warehouse, "daily", "one"))
            let unconcerned = try await isFree(lease(warehouse, "stale", "four"))
            #expect(!one)
            #expect(unconcerned)
        }

        #expect(try await isFree(lease(warehouse, "daily", "one")))
    }

    /// Two concurrent seedings leave two rows behind on BigQuery.
    @Test(arguments: Backend.allCases)
    func severalRowsOfAJobAreOneLease(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("lease-rows").bootstrapped()
        let statements = LeaseStatements(jobs: ["daily"], holder: "one", token: "t1")
        _ = try await warehouse.query(statements.seed(at: now))
        let other = LeaseStatements(jobs: ["daily"], holder: "two", token: "t2")
        let until = now.adding(.seconds(600))
        // One execution has seen and taken its own row when that of the other one turns up.
        #expect(try await warehouse.query(statements.take(at: now, until: until)).affectedRows == 1)
        try await warehouse.run(
            "INSERT INTO `scheduler_jobs.job_leases` (job, expires_at, updated_at) VALUES ('daily', @now, @now)",
            ["now": .timestamp(now)])

        #expect(try await warehouse.query(other.take(at: now, until: until)).affectedRows == 0)
        #expect(try await warehouse.query(statements.release(at: now)).affectedRows == 1)
        #expect(try await warehouse.query(other.take(at: now, until: until)).affectedRows == 2)
        #expect(try await warehouse.query(statements.take(at: now, until: until)).affectedRows == 0)
    }

    /// A new job for the same statement, after the reply to the first one was lost, finds its own lease.
    @Test(arguments: Backend.allCases)
    func aLeaseThatIsTakenTwiceIsStillOnes(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("lease-again").bootstrapped()
        let statements = LeaseStatements(jobs: ["daily"], holder: "daily one/0/0", token: "t1")
        _ = try await warehouse.query(statements.seed(at: now))
        let take = statements.take(at: now, until: now.adding(.seconds(600)))

        #expect(try await warehouse.query(take).affectedRows == 1)
        #expect(try await warehouse.query(take).affectedRows == 1)
    }

    @Test(arguments: Backend.allCases)
    func oneOfManyFirstAcquisitionsWins(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("lease-race").bootstrapped()
        let inside = Occupancy()
        let leases = (0..<8).map { lease(warehouse, "daily", "holder \($0)") }

        try await withThrowingTaskGroup(of: Bool.self) { group in
            for lease in leases {
                group.addTask {
                    try await lease.withLease {
                        inside.enter()
                        try await warehouse.run("SELECT 1 AS one")
                        inside.leave()
                    }
                }
            }
            try await group.waitForAll()
        }

        #expect(inside.most == 1)
    }

    /// One statement of the acquisition dies or loses its reply. The same holder can go on, and others can after the expiry.
    @Test(arguments: (0..<5).flatMap { [FaultyWarehouse.Fault.killedBefore($0), .killedDuring($0), .replyLost($0)] })
    func aBrokenAcquisitionBlocksNobodyForLong(_ fault: FaultyWarehouse.Fault) async throws {
        let warehouse = try await Backend.embedded.warehouse("lease-broken").bootstrapped()
        let broken = FaultyWarehouse(warehouse, fault)
        _ = try? await lease(warehouse, "daily", "one", on: broken).withLease {}

        #expect(try await isFree(lease(warehouse, "daily", "one")))
        _ = try? await lease(warehouse, "daily", "one", on: FaultyWarehouse(warehouse, fault)).withLease {}
        #expect(try await isFree(lease(warehouse, "daily", "two", at: now.adding(.seconds(600)))))
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
        _ warehouse: any SQLWarehouse, _ job: String, _ holder: String, _ report: ReportFixture = ReportFixture(),
        at instant: Timestamp? = nil, on other: (any Warehouse)? = nil, excluding others: [String] = []
    ) -> JobLease {
        JobLease(
            other ?? warehouse, job, holder, report, clock: LeapingClock(), from: instant ?? now,
            excluding: others)
    }

    private func rows(_ warehouse: any Warehouse) async throws -> [Row] { try await warehouse.leases() }
}

extension JobLease {
    /// A lease of ten minutes on a clock that begins at that moment, and leaps where it would wait.
    init(
        _ warehouse: any SQLWarehouse, _ job: String, _ holder: String, _ report: ReportFixture = ReportFixture(),
        clock: LeapingClock, from start: Timestamp, excluding others: [String] = [],
        validity: Duration = .seconds(600)
    ) {
        self.init(
            warehouse: warehouse, job: job, excluding: others, holder: holder, validity: validity,
            report: report.report, now: { start.adding(clock.time.elapsed()) }, sleep: clock.time.sleep)
    }
}

extension SQLWarehouse {
    func leases() async throws -> [Row] { try await rows(of: "scheduler_jobs.job_leases", orderedBy: "job") }
}

/// How many were inside at the same time, at most.
final class Occupancy: Sendable {
    private let state = Mutex((now: 0, most: 0))

    var most: Int { state.withLock { $0.most } }
    func enter() { state.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) } }
    func leave() { state.withLock { $0.now -= 1 } }
}
