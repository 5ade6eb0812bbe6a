import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
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

    @Test(arguments: Backend.allCases)
    func makesTheRowOfAnOrganizationThatHasNone(_ backend: Backend) async throws {
        let fixture = try await BillingFixture(backend, "billing-new", [])
        try await fixture.add("acme", subscription: false, quota: false)
        fixture.stripe.change {
            $0.subscriptions = [
                .init(
                    id: "sub_1", customer: "cus_1", status: "trialing", metadata: ["org_slug": "acme"],
                    trialEnd: 1_773_532_800, cancelsAtPeriodEnd: true)
            ]
        }

        try await fixture.reconcile()
        try await fixture.reconcile()

        let rows = try await fixture.run("SELECT subscription_id FROM `organizations.org_subscriptions`")
        #expect(try rows.map { try $0.string("subscription_id") } == ["billing-acme"])
        let state = try await fixture.state("acme")
        #expect(state[.status] == "TRIAL")
        #expect(state[.trialEndDate] == "2026-03-15")
        #expect(state[.subscriptionEndDate] == "2027-01-15")
        #expect(try await fixture.audits("acme").count == 1)
    }

    @Test func dryRunTellsAndWritesNothing() async throws {
        let fixture = try await BillingFixture(Backend.allCases[0], "billing-dry")
        fixture.stripe.change { $0.subscriptions = [Self.subscription] }
        let counting = FaultyWarehouse(fixture.warehouse)

        let report = try await fixture.reconcile(on: counting, isDryRun: true)

        #expect(counting.statements == 1)
        #expect(report.output.contains("acme          plan_name"))
        #expect(report.output.contains("STARTER"))
        #expect(report["mismatches_status"] == 1)
        #expect(report["synced"] == 0)
        #expect(try await fixture.state("acme")[.planName] == "OLD")
    }

    @Test func oneBadOrganizationDoesNotKeepTheOthers() async throws {
        let fixture = try await BillingFixture(
            Backend.allCases[0], "billing-bad", ["acme", "globex", "initech", "hooli"])
        fixture.stripe.change {
            $0.products["prod_bad"] = [
                "plan_id": "bad", "teamMembers": "10,00", "providers": "1", "pipelinesPerDay": "1",
            ]
            $0.products["prod_empty"] = [:]
            $0.subscriptions = [
                .init(id: "sub_1", customer: "cus_1", product: "prod_bad", metadata: ["org_slug": "acme"]),
                .init(id: "sub_2", customer: "cus_2", product: "prod_empty", metadata: ["org_slug": "globex"]),
                .init(id: "sub_3", customer: "cus_3", status: "frozen", metadata: ["org_slug": "initech"]),
                .init(id: "sub_4", customer: "cus_4", metadata: ["org_slug": "hooli"]),
                .init(id: "sub_5", customer: "cus_5", metadata: ["org_slug": "x'; DROP TABLE y"]),
                .init(id: "sub_6", customer: "cus_6"),
            ]
        }

        let report = try await fixture.reconcile()

        #expect(report["synced"] == 1)
        #expect(report["errors"] == 3)
        #expect(report["unmatched"] == 2)
        #expect(report.failures.map(\.subject) == [#""acme""#, #""globex""#, #""initech""#])
        #expect(
            report.failures.map(\.reason) == [
                #"product prod_bad: metadata teamMembers "10,00" is not a whole number from 0 to 1000000000"#,
                "product prod_empty has no metadata plan_id", #"subscription sub_3 has the unknown status "frozen""#,
            ])
        #expect(report.warnings.map(\.subject) == ["unmatched subscription sub_5", "unmatched subscription sub_6"])
        #expect(try await fixture.state("acme")[.planName] == "OLD")
        #expect(try await fixture.state("hooli")[.planName] == "STARTER")
    }

    @Test func aCustomersMetadataMatchesToo() async throws {
        let fixture = try await BillingFixture(Backend.allCases[0], "billing-customer")
        fixture.stripe.change {
            $0.customers["cus_1"] = ["org_slug": "acme"]
            $0.subscriptions = [.init(id: "sub_1", customer: "cus_1")]
        }

        try await fixture.reconcile()
        try await fixture.reconcile()

        #expect(try await fixture.state("acme")[.subscription] == "sub_1")
        #expect(fixture.stripe.requests("/v1/customers") == 0)
    }

    @Test func aSubscriptionThatChangesBetweenTwoPagesIsTakenAsItWasReadLast() async throws {
        let fixture = try await BillingFixture(Backend.allCases[0], "billing-pages", ["acme", "globex"])
        fixture.stripe.change {
            $0.pageSize = 1
            $0.subscriptions = [
                .init(id: "sub_2", customer: "cus_2", metadata: ["org_slug": "globex"]),
                .init(id: "sub_1", customer: "cus_1", metadata: ["org_slug": "acme"]),
            ]
            $0.onRequest = { account, request in
                guard request.query["starting_after"] == "sub_2" else { return nil }
                account.subscriptions[1].status = "canceled"
                account.subscriptions[0].product = "prod_scale"
                return nil
            }
        }

        try await fixture.reconcile()
        #expect(try await fixture.state("acme")[.status] == "CANCELLED")
        #expect(try await fixture.state("globex")[.planName] == "STARTER")
        fixture.stripe.change { $0.onRequest = nil }
        try await fixture.reconcile()

        #expect(try await fixture.state("globex")[.planName] == "SCALE")
        #expect(try await fixture.audits("globex").count == 2)
    }

    @Test func aListingThatBreaksOffChangesNothing() async throws {
        let fixture = try await BillingFixture(Backend.allCases[0], "billing-broken")
        fixture.stripe.change {
            $0.pageSize = 1
            $0.subscriptions = [Self.subscription, .init(id: "sub_0", customer: "cus_0")]
            $0.onRequest = { _, request in request.query["starting_after"] == nil ? nil : .json("{}", status: 400) }
        }

        await #expect(throws: StripeError.self) { try await fixture.reconcile(cancelMissing: 10) }

        #expect(try await fixture.state("acme")[.planName] == "OLD")
    }
}
