import JobRuntime
import TestSupport
import Testing
import WarehouseKit

@testable import BillingKit

@Suite struct ReconciliationTests {
    static let subscription = FakeStripe.Subscription(
        id: "sub_1", customer: "cus_1", metadata: ["org_slug": "acme"])

    @Test(arguments: Backend.allCases)
    func bringsAllThreeTablesToStripeAndAuditsOnce(_ backend: Backend) async throws {
        let fixture = try await BillingFixture(backend, "billing-reconcile")
        fixture.stripe.change { $0.subscriptions = [Self.subscription] }

        let report = try await fixture.reconcile()

        let state = try await fixture.state("acme")
        #expect(state[.planName] == "STARTER")
        #expect(state[.profilePlan] == "STARTER")
        #expect(state[.status] == "ACTIVE")
        #expect(state[.dailyLimit] == "6")
        #expect(state[.monthlyLimit] == "180")
        #expect(state[.quotaDailyLimit] == "6")
        #expect(state[.quotaSeatLimit] == "2")
        #expect(state[.subscription] == "sub_1")
        #expect(state[.currentPeriodEnd] == "1800000000000000")
        #expect(state[.cancelAtPeriodEnd] == "0")
        let audits = try await fixture.audits("acme")
        #expect(audits.count == 1)
        #expect(audits.first?.reason == "reconciliation")
        #expect(audits.first?.changes.contains { $0 == (.planName, "OLD", "STARTER") } == true)
        #expect(report["synced"] == 1)
        #expect(report["mismatches_plan_name"] == 1)
        #expect(report.failures.isEmpty)
    }

    @Test(arguments: Backend.allCases)
    func secondRunOnlyReads(_ backend: Backend) async throws {
        let fixture = try await BillingFixture(backend, "billing-second")
        fixture.stripe.change { $0.subscriptions = [Self.subscription] }
        try await fixture.reconcile()
        let counting = FaultyWarehouse(fixture.warehouse)

        let report = try await fixture.reconcile(on: counting)

        #expect(counting.statements == 1)
        #expect(report["mismatches"] == 0)
        #expect(try await fixture.audits("acme").count == 1)
    }
}
