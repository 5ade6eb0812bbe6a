import EmbeddedWarehouse
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
        #expect(state["plan_name"] == "STARTER")
        #expect(state["profile.subscription_plan"] == "STARTER")
        #expect(state["status"] == "ACTIVE")
        #expect(state["daily_limit"] == "6")
        #expect(state["monthly_limit"] == "180")
        #expect(state["quota.daily_limit"] == "6")
        #expect(state["quota.seat_limit"] == "2")
        #expect(state["stripe_subscription_id"] == "sub_1")
        #expect(state["current_period_end"] == "2027-01-15T08:00:00Z")
        #expect(state["cancel_at_period_end"] == "false")
        let audits = try await fixture.audits("acme")
        #expect(audits.count == 1)
        #expect(audits.first?.reason == "reconciliation")
        #expect(audits.first?.changes.contains { $0 == ("plan_name", "OLD", "STARTER") } == true)
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

        #expect(counting.statements == 2)
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
        #expect(state["status"] == "TRIAL")
        // The trial ends at midnight, so the 14th is the last day of it.
        #expect(state["trial_end_date"] == "2026-03-14")
        #expect(state["subscription_end_date"] == "2027-01-15")
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
        #expect(try await fixture.state("acme")["plan_name"] == "OLD")
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
                "product prod_empty has no metadata plan_id - if subscription sub_2 is no plan, name the product in STRIPE_IGNORE",
                #"subscription sub_3 has the unknown status "frozen""#,
            ])
        #expect(report.warnings.map(\.subject) == ["unmatched subscription sub_5", "unmatched subscription sub_6"])
        #expect(try await fixture.state("acme")["plan_name"] == "OLD")
        #expect(try await fixture.state("hooli")["plan_name"] == "STARTER")
    }

    @Test func aCustomersMetadataMatchesToo() async throws {
        let fixture = try await BillingFixture(Backend.allCases[0], "billing-customer")
        fixture.stripe.change {
            $0.customers["cus_1"] = ["org_slug": "acme"]
            $0.subscriptions = [.init(id: "sub_1", customer: "cus_1")]
        }

        try await fixture.reconcile()
        try await fixture.reconcile()

        #expect(try await fixture.state("acme")["stripe_subscription_id"] == "sub_1")
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
        #expect(try await fixture.state("acme")["status"] == "CANCELLED")
        #expect(try await fixture.state("globex")["plan_name"] == "STARTER")
        fixture.stripe.change { $0.onRequest = nil }
        try await fixture.reconcile()

        #expect(try await fixture.state("globex")["plan_name"] == "SCALE")
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

        #expect(try await fixture.state("acme")["plan_name"] == "OLD")
    }
}

@Suite struct MissingSubscriptionTests {
    /// The account keeps the subscription of one more organization.
    private func fixture(_ name: String, _ slugs: [String] = ["acme"]) async throws -> BillingFixture {
        let fixture = try await BillingFixture(Backend.allCases[0], name, slugs + ["other"])
        fixture.stripe.change { account in
            account.subscriptions = (slugs + ["other"]).map {
                .init(id: "sub_\($0)", customer: "cus_\($0)", metadata: ["org_slug": $0])
            }
        }
        try await fixture.reconcile()
        fixture.stripe.change { $0.subscriptions.removeAll { $0.id != "sub_other" } }
        return fixture
    }

    @Test func isReportedAndLeftAlone() async throws {
        let fixture = try await fixture("billing-missing")

        let report = try await fixture.reconcile()

        #expect(report["missing_in_stripe"] == 1)
        #expect(report.warnings.map(\.reason) == ["missing_in_stripe: there is no subscription sub_acme"])
        #expect(try await fixture.state("acme")["status"] == "ACTIVE")
    }

    @Test func isCancelledOnDemandOnce() async throws {
        let fixture = try await fixture("billing-cancel")

        try await fixture.reconcile(cancelMissing: 10)
        let second = try await fixture.reconcile(cancelMissing: 10)

        let state = try await fixture.state("acme")
        #expect(state["status"] == "CANCELLED")
        #expect(state["subscription_end_date"] == "2026-03-15")
        #expect(state["plan_name"] == "STARTER")
        #expect(try await fixture.audits("acme").map(\.reason) == ["reconciliation", "missing_in_stripe"])
        #expect(second["synced"] == 0)
        // One that is cancelled is missing no more.
        #expect(second["missing_in_stripe"] == 0 && second.warnings.isEmpty)
    }

    @Test(arguments: [(1, "ACTIVE"), (2, "CANCELLED")])
    func manyAtOnceAreMoreLikelyTheWrongAccount(_ limit: Int, _ status: String) async throws {
        let fixture = try await fixture("billing-limit", ["acme", "globex"])

        let report = try await fixture.reconcile(cancelMissing: limit)

        #expect(try await fixture.state("acme")["status"] == status)
        #expect(report.failures.isEmpty == (limit == 2))
    }

    @Test func oneThatIsThereAfterAllIsNotCancelled() async throws {
        let fixture = try await fixture("billing-there")
        fixture.stripe.change {
            $0.onRequest = { account, request in
                if request.path == "/v1/products" {
                    account.subscriptions.append(
                        .init(id: "sub_acme", customer: "cus_acme", metadata: ["org_slug": "acme"]))
                }
                return nil
            }
        }

        let report = try await fixture.reconcile(cancelMissing: 10)

        #expect(report["missing_in_stripe"] == 1)
        #expect(try await fixture.state("acme")["status"] == "ACTIVE")
    }

    @Test func thoseThatAreCancelledAlreadyDoNotCountAgainstTheLimit() async throws {
        let fixture = try await fixture("billing-cancelled", ["acme", "globex"])
        try await fixture.reconcile(cancelMissing: 2)
        fixture.stripe.change { $0.subscriptions = [.init(id: "sub_b", customer: "cus_b")] }
        _ = try await fixture.run(
            "UPDATE `organizations.org_subscriptions` SET stripe_subscription_id = 'sub_b' WHERE org_slug = 'acme'")

        let report = try await fixture.reconcile(cancelMissing: 1)

        #expect(report.failures.isEmpty)
        #expect(try await fixture.state("other")["status"] == "CANCELLED")
    }

    @Test func anAccountWithoutAnyStoredSubscriptionIsAnotherOne() async throws {
        let fixture = try await fixture("billing-other-account")
        fixture.stripe.change { $0.subscriptions = [.init(id: "sub_9", customer: "cus_9")] }

        let report = try await fixture.reconcile(cancelMissing: 10)

        #expect(report["missing_in_stripe"] == 2)
        #expect(report.failures.map(\.subject) == ["missing_in_stripe"])
        #expect(report.failures.first?.reason.hasPrefix("no stored subscription at all is in the account") == true)
        #expect(report["checked"] == 0)
        #expect(try await fixture.state("acme")["status"] == "ACTIVE")
    }

    @Test func aSecondLookThatFailsIsThatOrganizationsOnly() async throws {
        let fixture = try await fixture("billing-second-look", ["acme", "globex"])
        fixture.stripe.change {
            $0.subscriptions[0].product = "prod_scale"
            $0.onRequest = { _, request in
                request.path.hasSuffix("sub_acme") ? .json("{}", status: 400) : nil
            }
        }

        let report = try await fixture.reconcile(cancelMissing: 10)

        #expect(report.failures.map(\.subject) == [#""acme""#])
        #expect(try await fixture.state("acme")["status"] == "ACTIVE")
        #expect(try await fixture.state("globex")["status"] == "CANCELLED")
        #expect(try await fixture.state("other")["plan_name"] == "SCALE")
    }

    /// As a key that lacks a permission does, which the listing does not need.
    @Test func whatWasFoundBeforeTheSecondLookIsApplied() async throws {
        let fixture = try await fixture("billing-before-look")
        fixture.stripe.change {
            $0.subscriptions[0].product = "prod_scale"
            $0.onRequest = { _, request in
                request.path.hasSuffix("sub_acme") ? .json("{}", status: 403) : nil
            }
        }

        await #expect(throws: StripeError.self) { try await fixture.reconcile(cancelMissing: 10) }

        #expect(try await fixture.state("other")["plan_name"] == "SCALE")
    }
}
