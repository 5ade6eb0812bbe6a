import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

@Suite struct MissingSubscriptionTests {
    /// What is left in the account is the subscription of one more organization.
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
        #expect(try await fixture.state("acme")[.status] == "ACTIVE")
    }

    @Test func isCancelledOnDemandOnce() async throws {
        let fixture = try await fixture("billing-cancel")

        try await fixture.reconcile(cancelMissing: 10)
        let second = try await fixture.reconcile(cancelMissing: 10)

        let state = try await fixture.state("acme")
        #expect(state[.status] == "CANCELLED")
        #expect(state[.subscriptionEndDate] == "2026-03-15")
        #expect(state[.planName] == "STARTER")
        #expect(try await fixture.audits("acme").map(\.reason) == ["reconciliation", "missing_in_stripe"])
        #expect(second["synced"] == 0)
        // One that is cancelled is missing no more.
        #expect(second["missing_in_stripe"] == 0 && second.warnings.isEmpty)
    }

    @Test(arguments: [(1, "ACTIVE"), (2, "CANCELLED")])
    func manyAtOnceAreMoreLikelyTheWrongAccount(_ limit: Int, _ status: String) async throws {
        let fixture = try await fixture("billing-limit", ["acme", "globex"])

        let report = try await fixture.reconcile(cancelMissing: limit)

        #expect(try await fixture.state("acme")[.status] == status)
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
        #expect(try await fixture.state("acme")[.status] == "ACTIVE")
    }

    @Test func thoseThatAreCancelledAlreadyDoNotCountAgainstTheLimit() async throws {
        let fixture = try await fixture("billing-cancelled", ["acme", "globex"])
        try await fixture.reconcile(cancelMissing: 2)
        fixture.stripe.change { $0.subscriptions = [.init(id: "sub_b", customer: "cus_b")] }
        _ = try await fixture.run(
            "UPDATE `organizations.org_subscriptions` SET stripe_subscription_id = 'sub_b' WHERE org_slug = 'acme'")

        let report = try await fixture.reconcile(cancelMissing: 1)

        #expect(report.failures.isEmpty)
        #expect(try await fixture.state("other")[.status] == "CANCELLED")
    }

    @Test func anAccountWithoutAnyStoredSubscriptionIsAnotherOne() async throws {
        let fixture = try await fixture("billing-other-account")
        fixture.stripe.change { $0.subscriptions = [.init(id: "sub_9", customer: "cus_9")] }

        let report = try await fixture.reconcile(cancelMissing: 10)

        #expect(report["missing_in_stripe"] == 2)
        #expect(report.failures.map(\.subject) == ["missing_in_stripe"])
        #expect(report.failures.first?.reason.hasPrefix("no stored subscription at all is in the account") == true)
        #expect(try await fixture.state("acme")[.status] == "ACTIVE")
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
        #expect(try await fixture.state("acme")[.status] == "ACTIVE")
        #expect(try await fixture.state("globex")[.status] == "CANCELLED")
        #expect(try await fixture.state("other")[.planName] == "SCALE")
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

        #expect(try await fixture.state("other")[.planName] == "SCALE")
    }
}
