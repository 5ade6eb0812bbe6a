import HTTPTransport
import JobRuntime
import TestSupport
import Testing

@testable import Warehouse
@testable import WarehouseKit

/// Leases whose holder has ended while a statement of it may still be running.
@Suite struct KeptLeaseTests {
    private let now = instant("2026-01-31T00:00:00Z")

    @Test(arguments: Backend.allCases)
    func aStatementWithoutAnEndKeepsItsLeaseForTheGrace(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("lease-kept").bootstrapped()
        let (clock, report) = (LeapingClock(), ReportFixture())

        await #expect(throws: WarehouseError.self) {
            try await loseReply(lease(warehouse, "execution/0/0", on: lossy(warehouse)))
        }

        let row = try #require(try await warehouse.leases().first)
        #expect(try row.optionalString("holder") == "daily execution/0/0")
        #expect(try row.optionalTimestamp("acquired_at") == nil)
        #expect(try row.timestamp("expires_at") == now.adding(.seconds(120)))
        // Neither another execution nor the next attempt of the same task begins earlier, and neither is skipped.
        let isDone = try await lease(warehouse, "execution/0/1", report, clock: clock).withLease {
            #expect(clock.time.elapsed() == .seconds(120))
        }
        #expect(isDone)
        #expect(report.output.contains("waiting: the lease of daily is held by daily execution/0/0"))
    }

    /// The lease is kept even if the work catches the error and goes on.
    @Test(arguments: [
        (WarehouseError.Code.transport, Certainty.unknown, true), (.backendError, .unknown, true),
        (.rateLimited, .unknown, true), (.unauthenticated, .unknown, true), (.unexpectedResult, .done, true),
        (.invalid, .notDone, false), (.notFound, .notDone, false), (.resourcesExceeded, .notDone, false),
        (.rateLimited, .notDone, false), (.transport, .notDone, false),
        // After a reply that was lost the error is one of the repetition.
        (.notFound, .unknown, true), (.accessDenied, .unknown, true), (.quotaExceeded, .unknown, true),
    ])
    func onlyAnErrorThatIsNoAnswerKeepsTheLease(
        _ code: WarehouseError.Code, certainty: Certainty, isKept: Bool
    ) async throws {
        let warehouse = try await Backend.embedded.warehouse("lease-answered").bootstrapped()
        let refusing = FaultyWarehouse(
            warehouse,
            beforeEach: { index in
                if index == 4 {
                    throw WarehouseError(code, operation: "work", message: "failed", certainty: certainty)
                }
            })
        let lease = lease(warehouse, "one", on: refusing)

        try await lease.withLease { _ = try? await lease.sql.query(Statement("work", "SELECT 1 AS one")) }

        #expect((try await warehouse.leases().first?.optionalString("holder") != nil) == isKept)
    }

    @Test func workThatFailsBetweenItsStatementsFreesTheLease() async throws {
        let warehouse = try await Backend.embedded.warehouse("lease-failure").bootstrapped()

        for error in [Failure(), CancellationError()] as [any Error] {
            _ = try? await lease(warehouse, "one").withLease { throw error }
            #expect(try await warehouse.leases().first?.optionalString("holder") == nil)
        }
    }

    @Test(arguments: [(60, 60), (120, 120), (600, 120)])
    func theGraceNeverLastsLongerThanTheLease(validity: Int, kept: Int) async throws {
        let warehouse = try await Backend.embedded.warehouse("lease-short").bootstrapped()

        let lease = JobLease(
            lossy(warehouse), "daily", "one", clock: LeapingClock(), from: now, validity: .seconds(validity))
        await #expect(throws: WarehouseError.self) { try await loseReply(lease) }

        #expect(try await warehouse.leases().first?.timestamp("expires_at") == now.adding(.seconds(kept)))
    }

    @Test func aStatementThatIsCancelledKeepsItsLease() async throws {
        let warehouse = try await Backend.embedded.warehouse("lease-cancelled").bootstrapped()
        let isWorking = AsyncStream<Void>.makeStream()
        let slow = FaultyWarehouse(
            warehouse,
            beforeEach: {
                guard $0 == 4 else { return }
                isWorking.continuation.yield()
                try await Task.sleep(for: .seconds(3600))
            })
        let task = Task { try await loseReply(lease(warehouse, "one", on: slow)) }
        for await _ in isWorking.stream { break }

        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }

        #expect(try await warehouse.leases().first?.optionalTimestamp("acquired_at") == nil)
        #expect(try await warehouse.leases().first?.timestamp("expires_at") == now.adding(.seconds(120)))
    }

    /// A killed attempt cannot report its end. The next attempt begins only after it, so the next attempt reports it.
    @Test(arguments: Backend.allCases)
    func theNextAttemptGivesAKilledOneTheGrace(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("lease-attempt").bootstrapped()
        let first = CloudRunTask(execution: "quota-reset-daily-x7x7", index: 0, attempt: 0)
        let second = CloudRunTask(execution: "quota-reset-daily-x7x7", index: 0, attempt: 1)
        let others = [
            CloudRunTask(execution: "quota-reset-daily-x7x7", index: 1, attempt: 1),
            CloudRunTask(execution: "quota-reset-daily-y8y8", index: 0, attempt: 1),
        ]
        let killed = FaultyWarehouse(warehouse, .killedBefore(4))
        _ = try? await lease(warehouse, first.leaseHolder, on: killed).withLease { throw Failure() }
        let clock = LeapingClock()

        for other in others {
            let report = ReportFixture()
            #expect(try await lease(warehouse, other.leaseHolder, report).withLease {} == false)
            #expect(report.skipReason?.contains("quota-reset-daily-x7x7/0/0") == true)
        }
        let isDone = try await lease(warehouse, second.leaseHolder, clock: clock).withLease {
            #expect(clock.time.elapsed() == .seconds(120))
        }
        #expect(isDone)
        #expect(try await lease(warehouse, others[1].leaseHolder).withLease {})
    }

    @Test(arguments: Backend.allCases)
    func theLeaseOfAnotherJobIsWaitedFor(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("lease-waits").bootstrapped()
        let monthly = LeaseStatements(jobs: ["monthly", "daily"], holder: "monthly two/0/0", token: "t")
        try await seeded(warehouse, monthly)
        let (clock, report) = (LeapingClock(), ReportFixture())
        let daily = JobLease(
            warehouse: warehouse, job: "daily", holder: "one/0/0", validity: .seconds(600),
            report: report.report, now: { now },
            sleep: {
                try await clock.time.sleep($0)
                if clock.sleeps.count == 3 { _ = try await warehouse.query(monthly.release(at: now)) }
            })

        #expect(try await daily.withLease {})

        #expect(clock.sleeps.count == 3)
        #expect(report.skipReason == nil)
        #expect(report.failures.isEmpty)
    }

    /// A run that waits in vain fails, with an exit code that the scheduler sees.
    @Test func theWaitIsBoundedAndThenAFailure() async throws {
        let warehouse = try await Backend.embedded.warehouse("lease-patience").bootstrapped()
        try await seeded(warehouse, LeaseStatements(jobs: ["monthly", "daily"], holder: "monthly two/0/0", token: "t"))
        let (clock, report) = (LeapingClock(), ReportFixture())

        let isDone = try await lease(warehouse, "one/0/0", report, clock: clock).withLease {}

        #expect(!isDone)
        #expect(clock.time.elapsed() == .seconds(300))
        #expect(report.skipReason == nil)
        #expect(report.failures.map(\.subject) == ["lease of daily"])
        #expect(report.failures.first?.reason.contains("held by monthly two/0/0") == true)
    }

    @Test func aWaitCanBeCancelled() async throws {
        let warehouse = try await Backend.embedded.warehouse("lease-wait-cancelled").bootstrapped()
        try await seeded(warehouse, LeaseStatements(jobs: ["monthly", "daily"], holder: "monthly two/0/0", token: "t"))
        let daily = JobLease(
            warehouse: warehouse, job: "daily", holder: "one/0/0", validity: .seconds(600),
            report: ReportFixture().report, now: { now }, sleep: { _ in throw CancellationError() })

        await #expect(throws: CancellationError.self) { try await daily.withLease {} }

        let tokens = try await warehouse.leases().map { try $0.optionalString("token") }
        #expect(tokens == ["t", "t"])
    }

    /// Released by a machine whose clock is ahead of ours.
    @Test(arguments: Backend.allCases)
    func aFreeLeaseIsFreeWhateverItsExpiry(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("lease-skew").bootstrapped()
        let ahead = now.adding(.seconds(30))
        try await JobLease(warehouse, "daily", "one", clock: LeapingClock(), from: ahead).withLease {}
        let clock = LeapingClock()

        let isDone = try await lease(warehouse, "two", clock: clock).withLease {}

        #expect(isDone)
        #expect(clock.sleeps.isEmpty)
    }

    @Test(arguments: Backend.allCases)
    func aFenceHoldsWhileAllOfItsLeasesAreOnes(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("lease-fence").bootstrapped()
        let both = JobLease(
            warehouse, "monthly", "one", clock: LeapingClock(), from: now, excluding: ["daily"])

        #expect(try await holds(both.fence, warehouse) == false)
        try await both.withLease {
            let isHeld = try await holds(both.fence, warehouse)
            #expect(isHeld)
            try await lease(warehouse, "two", from: now.adding(.seconds(601))).withLease {
                let isHeldMeanwhile = try await holds(both.fence, warehouse)
                #expect(!isHeldMeanwhile)
            }
            let isHeldAfterwards = try await holds(both.fence, warehouse)
            #expect(!isHeldAfterwards)
        }
        #expect(try await holds(both.fence, warehouse) == false)
    }

    private func holds(_ fence: LeaseFence, _ warehouse: any Warehouse) async throws -> Bool {
        var statement = Statement("try a fence", "SELECT 1 AS one FROM (SELECT 1 AS one) AS o WHERE \(LeaseFence.sql)")
        statement.parameters = fence.parameters
        return try await warehouse.query(statement).rows.count == 1
    }

    private func seeded(_ warehouse: any Warehouse, _ statements: LeaseStatements) async throws {
        _ = try await warehouse.query(statements.seed(at: now))
        _ = try await warehouse.query(statements.take(at: now, until: now.adding(.seconds(600))))
    }

    private struct Failure: Error {}

    /// Take, read, seed, take; then the work, whose reply is lost.
    private func lossy(_ warehouse: any Warehouse) -> FaultyWarehouse {
        FaultyWarehouse(warehouse, .replyLost(4))
    }

    private func loseReply(_ lease: JobLease) async throws {
        try await lease.withLease { _ = try await lease.sql.query(Statement("work", "SELECT 1 AS one")) }
    }

    private func lease(
        _ warehouse: any Warehouse, _ holder: String, _ report: ReportFixture = ReportFixture(),
        clock: LeapingClock = LeapingClock(), on other: (any Warehouse)? = nil, from start: Timestamp? = nil
    ) -> JobLease {
        JobLease(other ?? warehouse, "daily", holder, report, clock: clock, from: start ?? now)
    }
}
