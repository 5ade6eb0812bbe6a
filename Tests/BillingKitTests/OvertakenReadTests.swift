import EmbeddedWarehouse
import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

/// Two executions with an eye on one organization.
@Suite struct OvertakenReadTests {
    @Test(arguments: Backend.allCases)
    func anOlderReadDoesNotOverwriteANewerOneAndIsQueued(_ backend: Backend) async throws {
        let fixture = try await BillingFixture(backend, "billing-overtaken")
        fixture.stripe.change { $0.subscriptions = [ReconciliationTests.subscription] }
        try await fixture.enqueue("acme", id: "sync_1")
        // Between this reconciliation's reading and its writing the queue's job reads something newer.
        let slow = FaultyWarehouse(fixture.warehouse) { index in
            guard index == 0 else { return }
            fixture.stripe.change { $0.subscriptions[0].product = "prod_scale" }
            try await fixture.retry()
        }

        let report = try await fixture.reconcile(on: slow)

        #expect(report["queued"] == 1)
        #expect(report["synced"] == 0)
        #expect(try await fixture.state("acme")["plan_name"] == "SCALE")
        #expect(try await fixture.audits("acme").map(\.reason) == ["webhook"])
        try await fixture.retry()
        #expect(try await fixture.queue().values.map(\.status) == ["completed", "completed"])
        #expect(try await fixture.audits("acme").count == 1)
    }

    @Test(arguments: Backend.allCases)
    func aStatementThatRunsTwiceAuditsOnce(_ backend: Backend) async throws {
        let fixture = try await BillingFixture(backend, "billing-twice")
        let stored = try #require(
            try await BillingState.read(fixture.metered, today: fixture.today).organizations["acme"])
        let values = BillingValues(
            plan: "SCALE", status: "ACTIVE", limits: BillingLimits(daily: 1, monthly: 30, concurrent: 2))
        let time = ReadTime(from: fixture.clock.now(), until: fixture.clock.now())
        let change = try #require(try BillingChange(values, stored, read: time, reason: "test"))
        let writer = BillingWriter(
            warehouse: MeteredWarehouse(fixture.warehouse, ReportFixture().report), today: fixture.today,
            now: fixture.clock.now)

        var (first, second) = (BillingWriter.Written(), BillingWriter.Written())
        try await writer.apply([change], into: &first)
        try await writer.apply([change], into: &second)

        #expect(first.applied == ["acme"])
        #expect(second.applied == ["acme"])
        #expect(try await fixture.audits("acme").count == 1)
    }

    /// Its reading was of a Stripe that has gone back since, and the warehouse agrees with Stripe all the time.
    @Test(arguments: Backend.allCases)
    func aSlowLookUpDoesNotUndoWhatAReconciliationFoundInOrder(_ backend: Backend) async throws {
        let fixture = try await BillingFixture(backend, "billing-swing")
        fixture.stripe.change { $0.subscriptions = [ReconciliationTests.subscription] }
        try await fixture.reconcile()
        try await fixture.enqueue("acme", id: "sync_1")
        fixture.stripe.change { $0.subscriptions[0].product = "prod_scale" }
        let slow = FaultyWarehouse(
            fixture.warehouse,
            beforeEach: { index in
                guard index == Self.applyOfRetry else { return }
                fixture.stripe.change { $0.subscriptions[0].product = "prod_starter" }
                try await fixture.reconcile()
            })

        try await fixture.retry(on: slow)

        #expect(try await fixture.state("acme")["plan_name"] == "STARTER")
        #expect(try await fixture.audits("acme").count == 1)
        #expect(try await fixture.queue()["sync_1"]?.status == "completed")
    }

    /// Somebody who had read before this look-up writes before it does: only another reading tells what is right.
    @Test func aLookUpThatWasOvertakenByAnOlderReadReadsAgain() async throws {
        let fixture = try await BillingFixture(Backend.allCases[0], "billing-reread")
        fixture.stripe.change { $0.subscriptions = [ReconciliationTests.subscription] }
        let (hasRead, mayWrite) = (Gate(), Gate())
        let early = FaultyWarehouse(
            fixture.warehouse,
            beforeEach: { index in
                guard index == 1 else { return }
                hasRead.open()
                await mayWrite.passed()
            })
        async let reconciliation = fixture.reconcile(on: early)
        await hasRead.passed()
        fixture.stripe.change { $0.subscriptions[0].product = "prod_scale" }
        try await fixture.enqueue("acme", id: "sync_1")
        let finished = Gate()
        let late = FaultyWarehouse(
            fixture.warehouse,
            beforeEach: { index in
                guard index == Self.applyOfRetry else { return }
                mayWrite.open()
                await finished.passed()
            })
        async let retry = fixture.retry(on: late)
        _ = try await reconciliation
        finished.open()
        _ = try await retry

        #expect(try await fixture.state("acme")["plan_name"] == "SCALE")
        #expect(try await fixture.queue()["sync_1"]?.status == "completed")
        #expect(try await fixture.audits("acme").map(\.reason) == ["reconciliation", "webhook"])
    }

    /// The item went back to the queue meanwhile, so nobody is known to be at work on it.
    @Test func aClaimThatWasTakenOverWritesNothing() async throws {
        let fixture = try await BillingFixture(Backend.allCases[0], "billing-zombie")
        fixture.stripe.change { $0.subscriptions = [ReconciliationTests.subscription] }
        try await fixture.reconcile()
        try await fixture.enqueue("acme", id: "sync_1")
        fixture.stripe.change { $0.subscriptions[0].product = "prod_scale" }
        let slow = FaultyWarehouse(
            fixture.warehouse,
            beforeEach: { index in
                guard index == Self.applyOfRetry else { return }
                fixture.clock.pass(.seconds(1000))
                fixture.stripe.change {
                    $0.onRequest = { _, request in
                        request.query["customer"] != nil || request.path.hasSuffix("sub_1")
                            ? .json("{}", status: 400) : nil
                    }
                }
                try await fixture.retry()
                fixture.stripe.change {
                    $0.onRequest = nil
                    $0.subscriptions[0].product = "prod_starter"
                }
                try await fixture.reconcile()
            })

        try await fixture.retry(on: slow)

        #expect(try await fixture.state("acme")["plan_name"] == "STARTER")
        #expect(try await fixture.audits("acme").count == 1)
        #expect(try await fixture.queue()["sync_1"]?.status == "pending")
    }

    /// After the two of the events, the claim, the reading of the claimed items, and that of the state.
    private static let applyOfRetry = 5
}
