import EmbeddedWarehouse
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

/// Where billing-sync-retry looks for the subscription that counts, and in which order.
@Suite struct LookupTests {
    private func fixture(_ name: String, _ slugs: [String] = ["acme", "globex"]) async throws -> BillingFixture {
        let fixture = try await BillingFixture(Backend.allCases[0], name, slugs)
        fixture.stripe.change { account in
            account.subscriptions = slugs.map {
                .init(id: "sub_\($0)", customer: "cus_\($0)", metadata: ["org_slug": $0])
            }
        }
        return fixture
    }

    /// A trial of one customer, and then the paid subscription of another one.
    @Test(arguments: ["trialing", "past_due", "canceled"])
    func anActiveSubscriptionElsewhereCountsBeforeAnyOther(_ status: String) async throws {
        let fixture = try await fixture("billing-trial-\(status)")
        fixture.stripe.change {
            $0.pageSize = 1
            $0.subscriptions[0].status = status
            // Older than the other one, and not among those that were made last.
            $0.subscriptions.append(.init(id: "sub_8", customer: "cus_8", created: 1_650_000_000))
            $0.subscriptions.append(
                .init(id: "sub_9", customer: "cus_9", metadata: ["org_slug": "acme"], created: 1_600_000_000))
        }
        try await fixture.enqueue("acme", id: "sync_1", payload: #"{"customer_id": "cus_acme"}"#)

        try await fixture.retry()

        #expect(try await fixture.state("acme")["stripe_subscription_id"] == "sub_9")
        #expect(try await fixture.state("acme")["status"] == "ACTIVE")
    }

    @Test func aNewerActiveSubscriptionElsewhereCounts() async throws {
        let fixture = try await fixture("billing-newer")
        try await fixture.reconcile()
        fixture.stripe.change {
            $0.subscriptions.insert(
                .init(id: "sub_9", customer: "cus_9", metadata: ["org_slug": "acme"], created: 1_700_000_001), at: 0)
        }
        try await fixture.enqueue("acme", id: "sync_1")
        let statements = FaultyWarehouse(fixture.warehouse)

        try await fixture.retry(on: statements)

        #expect(try await fixture.state("acme")["stripe_subscription_id"] == "sub_9")
    }

    @Test func onlyTheNewestAreLookedThroughForIt() async throws {
        let fixture = try await fixture("billing-newest")
        try await fixture.reconcile()
        fixture.stripe.change { account in
            account.pageSize = 1
            account.subscriptions =
                (1...20).map { .init(id: "sub_\($0)", customer: "cus_\($0)", created: 1_700_000_100) }
                + account.subscriptions
        }
        let before = fixture.stripe.requests("/v1/subscriptions")
        try await fixture.enqueue("acme", id: "sync_1")

        let report = try await fixture.retry()

        #expect(report["completed"] == 1)
        #expect(fixture.stripe.requests("/v1/subscriptions") - before == 1 + 10)
    }

    /// Its customer's metadata would tell acme, but a reconciliation gives it to whoever has it stored.
    @Test(arguments: ["stripe_subscription_id = 'sub_9'", "stripe_customer_id = 'cus_9'"])
    func whatIsStoredForAnotherOrganizationIsTheirs(_ stored: String) async throws {
        let fixture = try await fixture("billing-theirs")
        fixture.stripe.change {
            $0.customers["cus_9"] = ["org_slug": "acme"]
            $0.subscriptions.insert(
                .init(id: "sub_9", customer: "cus_9", product: "prod_scale", created: 1_790_000_000), at: 0)
        }
        _ = try await fixture.run(
            "UPDATE `organizations.org_subscriptions` SET \(stored) WHERE org_slug = 'globex'")
        try await fixture.enqueue(
            "acme", id: "sync_1", payload: #"{"customer_id": "cus_9", "subscription_id": "sub_acme"}"#)

        try await fixture.retry()
        #expect(try await fixture.state("acme")["stripe_subscription_id"] == "sub_acme")
        let report = try await fixture.reconcile(isDryRun: true)

        #expect(!report.output.contains("acme"))
    }

    @Test func aFewOrganizationsAtATimeAreFinished() async throws {
        let slugs = (1...30).map { "org_\($0)" }
        let fixture = try await fixture("billing-few", slugs)
        for slug in slugs { try await fixture.enqueue(slug, id: slug, payload: #"{"customer": "cus_\#(slug)"}"#) }
        // The two of the events, the claim and its reading; then state, apply and finish of the first ones.
        let dying = FaultyWarehouse(fixture.warehouse, .killedBefore(7))

        await #expect(throws: WarehouseError.self) { try await fixture.retry(on: dying) }

        let completed = try await fixture.queue().filter { $0.value.status == "completed" }.keys
        #expect(Set(completed) == Set(slugs.prefix(25)))
    }

    /// The listing of the whole account, for those that nothing is known of, may take longer than a run may.
    @Test func whatIsKnownIsFinishedBeforeTheWholeAccountIsListed() async throws {
        let fixture = try await fixture("billing-first")
        try await fixture.enqueue("globex", id: "unknown")
        try await fixture.enqueue("acme", id: "known", payload: #"{"customer": "cus_acme"}"#)
        fixture.stripe.change {
            $0.pageSize = 1
            $0.subscriptions[0].created += 5
            $0.subscriptions.append(.init(id: "sub_0", customer: "cus_0", created: 1_600_000_000))
            // Of those that were made last only the first two are looked at.
            $0.onRequest = { _, request in
                request.query["starting_after"] == "sub_globex" ? .json("{}", status: 403) : nil
            }
        }

        await #expect(throws: StripeError.self) { try await fixture.retry() }

        #expect(try await fixture.queue().mapValues(\.status) == ["known": "completed", "unknown": "pending"])
    }

    @Test func customersCostNoRequests() async throws {
        let slugs = (1...30).map { "org_\($0)" }
        let fixture = try await BillingFixture(Backend.allCases[0], "billing-customers", slugs)
        fixture.stripe.change { account in
            for slug in slugs { account.customers["cus_\(slug)"] = ["org_slug": slug] }
            account.subscriptions = slugs.map { .init(id: "sub_\($0)", customer: "cus_\($0)") }
        }

        let report = try await fixture.reconcile()

        #expect(report["synced"] == 30)
        #expect(fixture.stripe.requests() == 2)
    }

    @Test func aDeletedCustomerTellsNothing() async throws {
        let fixture = try await fixture("billing-deleted")
        fixture.stripe.change {
            $0.subscriptions.append(.init(id: "sub_9", customer: "cus_9"))
            $0.customers["cus_9"] = ["org_slug": "acme"]
            $0.deletedCustomers = ["cus_9"]
        }

        let report = try await fixture.reconcile()

        #expect(
            report.warnings.map(\.reason) == ["it has no metadata org_slug, and its customer is not there any more"])
    }
}
