import JobRuntime
import TestSupport
import Testing
import WarehouseKit

@testable import BillingKit

@Suite struct MissingSubscriptionTests {
    private func fixture(_ name: String, _ slugs: [String] = ["acme"]) async throws -> BillingFixture {
        let fixture = try await BillingFixture(Backend.allCases[0], name, slugs)
        fixture.stripe.change { account in
            account.subscriptions = slugs.map {
                .init(id: "sub_\($0)", customer: "cus_\($0)", metadata: ["org_slug": $0])
            }
        }
        try await fixture.reconcile()
        fixture.stripe.change { $0.subscriptions = [] }
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
                    account.subscriptions = [
                        .init(id: "sub_acme", customer: "cus_acme", metadata: ["org_slug": "acme"])
                    ]
                }
                return nil
            }
        }

        let report = try await fixture.reconcile(cancelMissing: 10)

        #expect(report["missing_in_stripe"] == 1)
        #expect(try await fixture.state("acme")[.status] == "ACTIVE")
    }
}
