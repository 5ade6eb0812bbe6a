import EmbeddedWarehouse
import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

@Suite struct QueueTests {
    @Test(arguments: Backend.allCases)
    func bringsTheOrganizationToStripeAndCompletes(_ backend: Backend) async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-queue", backend)
        try await fixture.enqueue(
            "acme", "checkout", id: "sync_1", payload: #"{"customer_id": "cus_1", "plan": "FREE"}"#)

        let report = try await fixture.retry()

        #expect(report["completed"] == 1)
        #expect(report["organizations_changed"] == 1)
        #expect(try await fixture.state("acme")["plan_name"] == "STARTER")
        #expect(try await fixture.state("globex")["plan_name"] == "OLD")
        #expect(try await fixture.queue()["sync_1"]?.status == "completed")
        #expect(try await fixture.audits("acme").map(\.reason) == ["checkout"])
        #expect(fixture.stripe.requests("/v1/customers") == 0)
    }

    @Test func emptyQueueIsTwoStatementsAndOneRequest() async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-empty")
        let counting = FaultyWarehouse(fixture.warehouse)

        let report = try await fixture.retry(on: counting)

        #expect(counting.statements == 2)
        #expect(report.output == "nothing is due\nStripe's events: complete to 2026-03-15T02:00:00.000000Z\n")
        #expect(fixture.stripe.requests() == 1)
    }

    @Test func severalItemsOfOneOrganizationAreOneLookUp() async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-several")
        for number in 1...4 {
            try await fixture.enqueue("acme", id: "sync_\(number)", payload: #"{"customer": "cus_1"}"#)
        }

        let report = try await fixture.retry()

        #expect(report["completed"] == 4)
        // Its customer's, and those that were made last.
        #expect(fixture.stripe.requests("/v1/subscriptions") == 2)
        #expect(fixture.stripe.requests("/v1/products") == 1)
        #expect(try await fixture.audits("acme").count == 1)
    }

    @Test(arguments: Backend.allCases)
    func triesAgainAfterOneToSixteenMinutesAndThenGivesUpOnce(_ backend: Backend) async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-backoff", backend)
        try await fixture.enqueue("acme", id: "sync_1", payload: #"{"subscription_id": "sub_1"}"#)
        fixture.stripe.change {
            $0.onRequest = { _, request in request.path.hasSuffix("sub_1") ? .json("{}", status: 400) : nil }
        }

        for (index, minutes) in [1, 2, 4, 8, 16].enumerated() {
            let report = try await fixture.retry()
            let row = try #require(try await fixture.queue()["sync_1"])
            #expect(report.failures.isEmpty && report.warnings.count == 1)
            #expect(row.status == "pending" && row.retries == Int64(index + 1) && !row.isClaimed)
            let wait = try #require(row.nextRetry).since(fixture.clock.now())
            #expect(wait <= .seconds(60 * minutes) && wait > .seconds(60 * minutes - 1))
            fixture.clock.pass(.seconds(60 * minutes - 30))
            #expect(try await fixture.retry()["claimed"] == 0)
            fixture.clock.pass(.seconds(31))
        }
        let last = try await fixture.retry()
        #expect(last.failures.map(\.subject) == [#""acme" (webhook, sync sync_1)"#])
        #expect(last.failures.first?.reason.hasPrefix("given up after 5 retries: could not ") == true)
        fixture.clock.pass(.seconds(86_400))
        let after = try await fixture.retry()
        #expect(after["claimed"] == 0 && after.failures.isEmpty)
        #expect(try await fixture.queue()["sync_1"]?.status == "failed")

        fixture.stripe.change { $0.onRequest = nil }
        let requeued = ReportFixture()
        try await QueueUpkeep(warehouse: fixture.warehouse, report: requeued.report, now: fixture.clock.now).requeue(
            "sync_1")
        #expect(requeued["requeued"] == 1)
        #expect(try await fixture.retry()["completed"] == 1)
    }

    @Test func jitterAddsUpToAFifth() throws {
        let row = Row([
            .init("sync_id", .string("a")), .init("org_slug", .string("acme")), .init("sync_type", .string("webhook")),
            .init("payload", .null(.json)), .init("retry_count", .int64(4)), .init("max_retries", .int64(5)),
        ])
        let outcome = SyncOutcome.failedTry(
            try QueuedSync(row), BillingProblem("no"), at: SteadyClock.start, jitter: 1)

        #expect(outcome.nextRetry == SteadyClock.start.adding(.seconds(16 * 72)))
    }

    @Test func aRunThatFailsGivesItsItemsBackAtOnce() async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-release")
        try await fixture.enqueue("acme", id: "sync_1")
        fixture.stripe.change { $0.onRequest = { _, _ in .json("{}", status: 403) } }

        let error = await #expect(throws: StripeError.self) { try await fixture.retry() }

        #expect(error?.endsRun == true)
        #expect(try await fixture.queue()["sync_1"] == QueueRow(status: "pending", retries: 0, isClaimed: false))
    }

    @Test func aRunThatIsCancelledGivesItsItemsBackAtOnce() async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-cancel")
        try await fixture.enqueue("acme", id: "sync_1")
        let (hasRead, mayGoOn) = (Gate(), Gate())
        // Before the state is read: Stripe was not asked yet, and nothing is written.
        let slow = FaultyWarehouse(
            fixture.warehouse,
            beforeEach: { index in
                guard index == 4 else { return }
                hasRead.open()
                await mayGoOn.passed()
            })
        let run = Task { try await fixture.retry(on: slow) }
        await hasRead.passed()

        run.cancel()
        mayGoOn.open()

        await #expect(throws: (any Error).self) { try await run.value }
        #expect(try await fixture.queue()["sync_1"] == QueueRow(status: "pending", retries: 0, isClaimed: false))
        #expect(try await fixture.state("acme")["plan_name"] == "OLD")
    }

    /// An answer without the part that is needed is an error, and not a queue with nothing in it.
    @Test func aReplyWithoutItsPartIsNotZero() async throws {
        struct SilentWarehouse: SQLWarehouse {
            func query(_ statement: Statement) async throws -> QueryResult { QueryResult() }
            func merge(_ merge: MergeStatement) async throws -> MergeResult { throw CancellationError() }
        }
        let silent = SilentWarehouse()
        let queue = SyncQueue(
            warehouse: MeteredWarehouse(silent, ReportFixture().report), now: { SteadyClock.start })
        let upkeep = QueueUpkeep(warehouse: silent, report: ReportFixture().report)
        let today = SteadyClock.start.date

        for ask in [
            { _ = try await queue.countDue() }, { _ = try await queue.add(["acme"]) },
            { _ = try await queue.requeue("sync_1", isDryRun: true) },
            { _ = try await queue.requeue("sync_1", isDryRun: false) }, { try await upkeep.printStatistics(of: today) },
        ] as [() async throws -> Void] {
            let error = await #expect(throws: WarehouseError.self) { try await ask() }
            #expect(error?.code == .unexpectedResult)
        }
    }

    @Test func onlySoManyAreClaimedTheOldestFirst() async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-most")
        for number in 1...5 { try await fixture.enqueue("acme", id: "sync_\(number)") }

        #expect(try await fixture.retry(limit: 2)["claimed"] == 2)

        let statuses = try await fixture.queue().mapValues(\.status)
        #expect(statuses.filter { $0.value == "completed" }.keys.sorted() == ["sync_1", "sync_2"])
    }

    /// A payload is a hint: what cannot be read in it says nothing.
    @Test func badItemsAreGivenUpAtOnceAndTheOthersGoOn() async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-hostile")
        try await fixture.enqueue("acme'; DROP TABLE x; --", id: "a")
        try await fixture.enqueue("acme", "refund", id: "b")
        try await fixture.enqueue("acme", id: "c", payload: #""{\"customer_id\": 1""#)
        try await fixture.enqueue("acme", id: "d", payload: "[1, 2]")
        try await fixture.enqueue("acme", id: "e", payload: #"{"customer_id": "cus_1?limit=1&x=/../sk"}"#)
        try await fixture.enqueue("acme", id: "f", payload: #"{"subscription_id": 7}"#)
        try await fixture.enqueue("globex", id: "g", payload: #"{"customer": null, "amount": "10,00"}"#)
        try await fixture.enqueue("nobody", id: "h")

        let report = try await fixture.retry()

        let queue = try await fixture.queue()
        #expect(queue.filter { $0.value.status == "failed" }.keys.sorted() == ["a", "b"])
        #expect(queue.filter { $0.value.status == "completed" }.keys.sorted() == ["c", "d", "e", "f", "g"])
        #expect(queue["h"]?.status == "pending")
        #expect(report.failures.count == 2)
        #expect(try await fixture.state("acme")["plan_name"] == "STARTER")
    }

    @Test func statisticsCountWhatThereIs() async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-statistics")
        try await fixture.enqueue("acme", id: "done")
        try await fixture.retry()
        try await fixture.enqueue("acme", "refund", id: "bad")
        try await fixture.retry()
        try await fixture.enqueue("acme", id: "waiting")
        let report = ReportFixture()

        try await QueueUpkeep(warehouse: fixture.warehouse, report: report.report).printStatistics(of: fixture.today)

        #expect(["pending", "processing", "failed", "completed_today"].map { report[$0] } == [1, 0, 1, 1])
        #expect(report.output.contains("oldest pending   2026-03-15T02:00:0"))
    }

    @Test(arguments: Backend.allCases)
    func anOrganizationIsQueuedByHand(_ backend: Backend) async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-enqueue", backend)
        let report = ReportFixture()
        let upkeep = QueueUpkeep(warehouse: fixture.warehouse, report: report.report, now: fixture.clock.now)
        let preview = QueueUpkeep(
            warehouse: fixture.warehouse, report: ReportFixture().report, isDryRun: true, now: fixture.clock.now)

        try await preview.enqueue("acme", why: nil)
        #expect(try await fixture.queue().isEmpty)
        try await upkeep.enqueue("acme", why: #"the plan was "corrected""#)
        try await upkeep.enqueue("globex", why: nil)
        try await upkeep.enqueue("nobody", why: nil)
        let retried = try await fixture.retry()

        #expect(report["queued"] == 2)
        #expect(report.failures.map(\.reason) == ["there is no such organization"])
        #expect(retried["completed"] == 2)
        #expect(try await fixture.audits("acme").map(\.reason) == [#"plan_change: the plan was "corrected""#])
        #expect(try await fixture.audits("globex").map(\.reason) == ["plan_change"])
    }

    @Test func dryRunClaimsNothing() async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-queue-dry")
        try await fixture.enqueue("acme", id: "sync_1")

        let report = try await fixture.retry(isDryRun: true)

        #expect(report.output.contains("acme          plan_name"))
        #expect(try await fixture.queue()["sync_1"]?.status == "pending")
        #expect(try await fixture.state("acme")["plan_name"] == "OLD")
    }

    @Test func aSubscriptionElsewhereIsFoundInTheWholeListing() async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-elsewhere")
        try await fixture.reconcile()
        fixture.stripe.change {
            $0.subscriptions[0].status = "canceled"
            $0.subscriptions.insert(
                .init(
                    id: "sub_9", customer: "cus_9", product: "prod_scale", metadata: ["org_slug": "acme"],
                    created: 1_790_000_000),
                at: 0)
        }
        try await fixture.enqueue("acme", id: "sync_1")

        try await fixture.retry()

        #expect(try await fixture.state("acme")["stripe_subscription_id"] == "sub_9")
    }
}

/// What becomes of the items that a killed execution of billing-sync-retry had claimed.
@Suite struct KilledExecutionTests {
    @Test(arguments: Backend.allCases)
    func whatADeadExecutionClaimedComesBackAfterItsLease(_ backend: Backend) async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-lease", backend)
        try await fixture.enqueue("acme", id: "sync_1")
        let dying = FaultyWarehouse(fixture.warehouse, .killedBefore(Self.afterClaim))
        await #expect(throws: WarehouseError.self) { try await fixture.retry(on: dying) }
        #expect(try await fixture.queue()["sync_1"]?.status == "processing")

        #expect(try await fixture.retry()["claimed"] == 0)
        fixture.clock.pass(.seconds(901))
        #expect(try await fixture.retry()["completed"] == 1)

        #expect(try await fixture.queue()["sync_1"]?.retries == 0)
    }

    /// Once among others, which tells nothing, and then alone.
    @Test func anItemThatKillsItsExecutionIsGivenUp() async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-killer")
        try await fixture.enqueue("acme", id: "sync_1")
        for _ in 0..<7 {
            #expect(try await fixture.queue()["sync_1"]?.status != "failed")
            try await kill(fixture)
        }

        let report = try await fixture.retry()

        #expect(report.failures.first?.reason.contains("its executions ended without finishing it") == true)
        #expect(try await fixture.queue()["sync_1"]?.status == "failed")
    }

    /// Both have no retry left when their execution is killed twice, the second time while it works on the first one only.
    @Test(arguments: Backend.allCases)
    func anItemThatOnlySharedAKilledExecutionIsNotGivenUp(_ backend: Backend) async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-shared", backend)
        try await fixture.enqueue("acme", id: "sync_1")
        try await fixture.enqueue("globex", id: "sync_2")
        _ = try await fixture.run("UPDATE `scheduler_jobs.billing_sync_queue` SET retry_count = 5 WHERE TRUE")
        try await kill(fixture)
        try await kill(fixture)

        let report = try await fixture.retry()

        #expect(report.failures.map(\.subject) == [#""acme" (webhook, sync sync_1)"#])
        #expect(try await fixture.queue()["sync_1"]?.status == "failed")
        #expect(try await fixture.queue()["sync_2"] == QueueRow(status: "completed", retries: 5, isClaimed: false))
    }

    @Test func whatAKilledExecutionHadClaimedComesAfterAllOthersOneByOne() async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-after")
        for number in 1...3 { try await fixture.enqueue("acme", id: "sync_\(number)") }
        try await kill(fixture)
        try await fixture.enqueue("globex", id: "sync_4")
        // The two of the events, six statements for the new one, six for the first of the others, and the claim of the second.
        let dying = FaultyWarehouse(fixture.warehouse, .killedBefore(15))

        await #expect(throws: WarehouseError.self) { try await fixture.retry(on: dying) }

        #expect(
            try await fixture.queue().mapValues(\.status) == [
                "sync_1": "completed", "sync_2": "processing", "sync_3": "processing", "sync_4": "completed",
            ])
    }

    @Test func theyHaveTheirTurnHoweverManyOthersThereAre() async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-turn")
        try await fixture.enqueue("acme", id: "sync_1")
        try await kill(fixture)
        for number in 2...4 { try await fixture.enqueue("globex", id: "sync_\(number)") }

        #expect(try await fixture.retry(limit: 2)["completed"] == 2)

        #expect(
            try await fixture.queue().mapValues(\.status) == [
                "sync_1": "completed", "sync_2": "completed", "sync_3": "pending", "sync_4": "pending",
            ])
    }

    /// An execution that dies as soon as it has claimed something, and then the claim's end.
    private func kill(_ fixture: BillingFixture) async throws {
        let dying = FaultyWarehouse(fixture.warehouse, .killedBefore(Self.afterClaim))
        await #expect(throws: WarehouseError.self) { try await fixture.retry(on: dying) }
        fixture.clock.pass(.seconds(901))
    }

    /// The number of the statement after the count and the claim.
    private static let afterClaim = 3
}
