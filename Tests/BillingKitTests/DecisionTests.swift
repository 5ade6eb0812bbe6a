import EmbeddedWarehouse
import Foundation
import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

/// The rules of docs/operations.md ("Stripe"), beyond what the worlds show.
@Suite struct DecisionTests {
    private func fixture(_ name: String, _ slugs: [String] = ["acme", "globex"]) async throws -> BillingFixture {
        let fixture = try await BillingFixture(Backend.embedded, name, slugs)
        fixture.stripe.change { account in
            account.subscriptions = slugs.map {
                .init(id: "sub_\($0)", customer: "cus_\($0)", metadata: ["org_slug": $0])
            }
            account.products["prod_support"] = [:]
        }
        try await fixture.reconcile()
        return fixture
    }

    @Test func aFormerOwnerGetsWhatItHasLeft() async throws {
        let fixture = try await fixture("decision-left")
        fixture.stripe.change {
            $0.subscriptions[1].metadata = ["org_slug": "acme"]
            $0.subscriptions[1].created += 1
            $0.subscriptions.append(
                .init(id: "sub_left", customer: "cus_globex", product: "prod_scale", metadata: ["org_slug": "globex"]))
        }

        let report = try await fixture.reconcile()

        #expect(report["synced"] == 2 && report.failures.isEmpty)
        #expect(try await fixture.state("acme")["stripe_subscription_id"] == "sub_globex")
        #expect(try await fixture.state("globex")["stripe_subscription_id"] == "sub_left")
        #expect(try await fixture.state("globex")["plan_name"] == "SCALE")
    }

    /// Only an add-on is left to it, which is a failure where nothing else has happened.
    @Test func aFormerOwnerWithAnAddOnEnds() async throws {
        let fixture = try await fixture("decision-addon-left")
        fixture.stripe.change {
            $0.subscriptions[1].metadata = ["org_slug": "acme"]
            $0.subscriptions.append(
                .init(
                    id: "sub_support", customer: "cus_globex", product: "prod_support", metadata: ["org_slug": "globex"]
                ))
        }

        try await fixture.reconcile()

        #expect(try await fixture.state("globex")["status"] == "CANCELLED")
    }

    @Test func aSubscriptionThatTwoOrganizationsStoreIsAFailure() async throws {
        let fixture = try await fixture("decision-twice")
        fixture.stripe.change { $0.subscriptions[0].metadata = [:] }
        _ = try await fixture.run(
            "UPDATE `organizations.org_subscriptions` SET stripe_subscription_id = 'sub_acme' WHERE TRUE")

        let report = try await fixture.reconcile()

        #expect(report.failures.map(\.subject) == ["subscription sub_acme"])
        #expect(report.failures.map(\.reason) == [#"several organizations have it stored: "acme", "globex""#])
    }

    @Test(arguments: [
        ("past_due", "SUSPENDED"), ("unpaid", "SUSPENDED"), ("paused", "SUSPENDED"), ("canceled", "CANCELLED"),
    ])
    func aStatusWithoutServiceIsWrittenWhateverElseCannotBeRead(_ status: String, _ stored: String) async throws {
        for fault in ["product", "items", "trial_end", "ended_at", "customer"] {
            let fixture = try await fixture("decision-end-\(fault)", ["acme"])
            fixture.stripe.change {
                $0.subscriptions[0].status = status
                switch fault {
                case "product": $0.subscriptions[0].product = "prod_gone"
                case "items": $0.subscriptions[0].overrides = ["items": #"{"data": [], "has_more": false}"#]
                case "customer": $0.subscriptions[0].overrides = ["customer": "7"]
                default: $0.subscriptions[0].overrides = [fault: "-5"]
                }
            }

            let report = try await fixture.reconcile()

            let state = try await fixture.state("acme")
            #expect(report.failures.isEmpty && report["synced"] == 1, "\(fault)")
            #expect(state["status"] == stored, "\(fault)")
            #expect(state["plan_name"] == "STARTER" && state["daily_limit"] == "6", "\(fault)")
            #expect(state["stripe_customer_id"] == "cus_acme", "\(fault)")
            #expect(report.warnings.count == 1, "\(fault)")
        }
    }

    /// Nothing ends, and there is nothing to keep.
    @Test func whatIsOverAndCannotBeReadGivesNobodyARow() async throws {
        let fixture = try await fixture("decision-no-row", ["acme"])
        try await fixture.add("globex", subscription: false)
        fixture.stripe.change {
            $0.subscriptions.append(
                .init(
                    id: "sub_g", customer: "cus_g", status: "canceled", product: "prod_gone",
                    metadata: ["org_slug": "globex"]))
        }

        let report = try await fixture.reconcile()

        #expect(report.failures.isEmpty && report["synced"] == 0)
    }

    @Test func aLiveSubscriptionWhosePlanCannotBeReadIsAFailure() async throws {
        let fixture = try await fixture("decision-live")
        fixture.stripe.change { $0.subscriptions[0].product = "prod_gone" }

        let report = try await fixture.reconcile()

        #expect(report.failures.map(\.subject) == [#""acme""#])
        #expect(try await fixture.state("acme")["status"] == "ACTIVE")
    }

    @Test(arguments: ["incomplete", "incomplete_expired"])
    func anAttemptReplacesNeitherATrialNorAHistory(_ status: String) async throws {
        let fixture = try await fixture("decision-attempt")
        fixture.stripe.change {
            $0.subscriptions =
                ["acme", "globex"].map {
                    .init(id: "sub_try_\($0)", customer: "cus_\($0)", status: status, metadata: ["org_slug": $0])
                } + [
                    .init(
                        id: "sub_globex", customer: "cus_globex", status: "canceled", metadata: ["org_slug": "globex"])
                ]
        }
        _ = try await fixture.run(
            """
            UPDATE `organizations.org_subscriptions`
            SET status = 'TRIAL', stripe_subscription_id = NULL WHERE org_slug = 'acme'
            """)

        let report = try await fixture.reconcile()

        #expect(try await fixture.state("acme")["status"] == "TRIAL")
        #expect(try await fixture.state("acme")["stripe_subscription_id"] == "")
        #expect(try await fixture.state("globex")["stripe_subscription_id"] == "sub_globex")
        #expect(try await fixture.state("globex")["status"] == "CANCELLED")
        #expect(report["live_without_subscription"] == 1 && report.failures.isEmpty)
    }

    /// A contract has no Stripe id; everybody else who only has an add-on may have a plan whose metadata somebody forgot.
    @Test(arguments: [("ACTIVE", 0), ("TRIAL", 1), ("SUSPENDED", 1)])
    func onlyAnAddOnIsAFailureUnlessThereIsAContract(_ status: String, _ failures: Int) async throws {
        let fixture = try await fixture("decision-contract")
        fixture.stripe.change {
            $0.subscriptions[0] = .init(
                id: "sub_s", customer: "cus_acme", product: "prod_support", metadata: ["org_slug": "acme"])
        }
        _ = try await fixture.run(
            """
            UPDATE `organizations.org_subscriptions`
            SET status = @status, plan_name = 'ENTERPRISE', stripe_subscription_id = NULL WHERE org_slug = 'acme'
            """, ["status": .string(status)])

        let report = try await fixture.reconcile()

        #expect(report.failures.count == failures)
        #expect(try await fixture.state("acme")["plan_name"] == "ENTERPRISE")
        #expect(try await fixture.state("acme")["status"] == status)
    }

    @Test func aCanceledPlanEndsBesideALivingAddOn() async throws {
        let fixture = try await fixture("decision-canceled-plan")
        fixture.stripe.change {
            $0.subscriptions[0].status = "canceled"
            $0.subscriptions.append(
                .init(id: "sub_s", customer: "cus_acme", product: "prod_support", metadata: ["org_slug": "acme"]))
        }

        let report = try await fixture.reconcile()

        #expect(try await fixture.state("acme")["status"] == "CANCELLED")
        #expect(report.warnings.map(\.reason) == ["is CANCELLED: subscription sub_s is active, but no plan"])
    }

    @Test(arguments: [(4, 1, true), (4, 2, false), (3, 1, false), (3, 0, true), (10, 4, true), (10, 5, false)])
    func fewStoredSubscriptionsMeanAnotherAccount(_ stored: Int, _ present: Int, _ isLoss: Bool) async throws {
        let fixture = try await fixture("decision-few", (0..<stored).map { "org_\($0)" })
        fixture.stripe.change { account in
            account.subscriptions.removeLast(stored - present)
            for index in account.subscriptions.indices { account.subscriptions[index].product = "prod_scale" }
        }

        let report = try await fixture.reconcile(cancelMissing: 100)

        #expect((report.failures.map(\.subject) == ["missing_in_stripe"]) == isLoss)
        #expect(report["synced"] == (isLoss ? 0 : stored))
    }

    @Test func aFaultOfOneObjectIsChargedToItsItemAlone() async throws {
        let fixture = try await fixture("decision-one-fault")
        fixture.stripe.change {
            $0.onRequest = { _, request in request.query["customer"] == "cus_acme" ? .json("{}", status: 500) : nil }
        }
        for slug in ["acme", "globex"] { try await fixture.enqueue(slug, id: slug) }

        try await fixture.retry()

        let queue = try await fixture.queue()
        #expect(queue["acme"]?.status == "pending" && queue["acme"]?.retries == 1)
        #expect(queue["globex"]?.status == "completed")
    }

    @Test(arguments: [401, 403, 429, 500, 503])
    func whatAllItemsShareIsChargedToNone(_ status: Int) async throws {
        let fixture = try await fixture("decision-shared")
        fixture.stripe.change { $0.onRequest = { _, _ in .json("{}", status: status) } }
        for slug in ["acme", "globex"] { try await fixture.enqueue(slug, id: slug) }

        await #expect(throws: StripeError.self) { try await fixture.retry() }

        #expect(
            try await fixture.queue().values.allSatisfy {
                $0 == QueueRow(status: "pending", retries: 0, isClaimed: false)
            })
        fixture.stripe.change { $0.onRequest = nil }
        #expect(try await fixture.retry()["completed"] == 2)
    }

    /// A missing column, say, or a permission that is gone.
    @Test func aWarehouseThatRefusesEveryWriteCostsNoRetry() async throws {
        let fixture = try await fixture("decision-refused")
        for slug in ["acme", "globex"] { try await fixture.enqueue(slug, id: slug) }
        let refusing = FaultyWarehouse(
            fixture.warehouse, refuses: { $0.sql.contains("UPDATE `organizations.org_subscriptions`") })

        await #expect(throws: WarehouseError.self) { try await fixture.retry(on: refusing) }

        #expect(
            try await fixture.queue().values.allSatisfy {
                $0 == QueueRow(status: "pending", retries: 0, isClaimed: false)
            })
        #expect(try await fixture.retry()["completed"] == 2)
    }

    @Test func anotherBusinessOfTheAccountIsOneLine() async throws {
        var fixture = try await fixture("decision-foreign")
        fixture.stripe.change { account in
            for number in 0..<250 {
                account.subscriptions.append(
                    .init(id: "sub_x\(number)", customer: "cus_x\(number)", metadata: ["shop_id": "1"]))
            }
            account.subscriptions.append(.init(id: "sub_y", customer: "cus_y", product: "prod_support"))
        }

        let told = try await fixture.reconcile()
        fixture.ignore = StripeIgnore("shop_id,prod_support")
        let ignored = try await fixture.reconcile()

        #expect(told["unmatched"] == 251)
        #expect(told.warnings.map(\.subject) == ["unmatched"])
        #expect(told.warnings.first?.reason.hasPrefix("251 subscriptions name no organization; ") == true)
        #expect(ignored["unmatched"] == 0 && ignored["ignored"] == 251 && ignored.warnings.isEmpty)
        #expect(ignored["checked"] == 2)
    }

    @Test(arguments: [
        #"{"customer": {"id": "cus_9"}}"#, #"{"stripe_customer_id": "cus_9", "subscription": 7}"#,
        #"{"object": "customer", "id": "cus_9"}"#, #"{"data": {"object": {"customer": "cus_9", "id": "sub_?"}}}"#,
    ])
    func aHintIsReadWhereverItStands(_ payload: String) {
        let hints = StripeHints(payload: payload)

        #expect(hints.customer == "cus_9")
        #expect(hints.subscription == nil)
    }

    @Test(arguments: ["7", "[]", "{", "null", #"{"customer": [], "subscription": {"id": 7}}"#])
    func aPayloadThatSaysNothingIsNoFault(_ payload: String) {
        #expect(StripeHints(payload: payload) == StripeHints())
    }

    @Test func auditsAreWrittenForPeople() async throws {
        let fixture = try await fixture("decision-audit", ["acme"])
        fixture.stripe.change { $0.subscriptions[0].cancelsAtPeriodEnd = true }

        try await fixture.reconcile()

        let changes = try await fixture.audits("acme").flatMap(\.changes)
        #expect(changes.contains { $0 == ("current_period_end", "", "2027-01-15T08:00:00Z") })
        #expect(changes.contains { $0 == ("cancel_at_period_end", "", "false") })
        #expect(changes.contains { $0 == ("cancel_at_period_end", "false", "true") })
        #expect(changes.contains { $0 == ("subscription_end_date", "", "2027-01-15") })
    }

    /// 2027-01-15 at 00:00:00 and one second later.
    @Test(arguments: [(1_799_971_200, "2027-01-14"), (1_799_971_201, "2027-01-15")])
    func theLastDayIsTheLastDayOfService(_ end: Int64, _ day: String) async throws {
        let fixture = try await fixture("decision-last-day", ["acme"])
        fixture.stripe.change {
            $0.subscriptions[0].cancelAt = end
            $0.subscriptions[0].trialEnd = end
        }

        try await fixture.reconcile()

        let state = try await fixture.state("acme")
        #expect(state["subscription_end_date"] == day && state["trial_end_date"] == day)
        #expect(state["cancel_at_period_end"] == "false")
    }
}
