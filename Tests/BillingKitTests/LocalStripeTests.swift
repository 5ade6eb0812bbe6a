import EmbeddedWarehouse
import Foundation
import HTTPTransport
import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

/// Against a Stripe server that nobody here wrote. It is of an older shape, lists the oldest first, and refuses what Stripe refuses.
@Suite struct LocalStripeTests {
    private struct Account {
        let server: LocalStripeProcess
        let transport = CurlTransport()

        func post(_ path: String, _ body: [String: Any]) async throws -> String {
            let response = try await transport.send(
                HTTPRequest(
                    .post, server.url + path,
                    headers: ["Authorization": "Bearer sk_test_12345", "Content-Type": "application/json"],
                    body: try JSONSerialization.data(withJSONObject: body)))
            #expect(response.status == 200, "\(String(decoding: response.body, as: UTF8.self))")
            let object = try JSONSerialization.jsonObject(with: response.body) as? [String: Any]
            return object?["id"] as? String ?? ""
        }

        func delete(_ path: String) async throws {
            let response = try await transport.send(
                HTTPRequest(.delete, server.url + path, headers: ["Authorization": "Bearer sk_test_12345"]))
            #expect(response.status == 200)
        }

        func client(_ key: String = "sk_test_12345") -> StripeClient {
            StripeClient(
                baseURL: server.url, key: Secret(key), mode: .test, requestsPerSecond: 20, transport: transport,
                time: LeapingClock().time, logger: BillingFixture.quiet)
        }
    }

    private func account() async throws -> Account {
        let account = Account(server: try await LocalStripeProcess.start())
        for (id, metadata) in [("starter", FakeStripe.Account.starter), ("scale", FakeStripe.Account.scale)] {
            let product = try await account.post("/v1/products", ["name": id, "metadata": metadata])
            _ = try await account.post(
                "/v1/plans",
                ["id": id, "product": product, "amount": 0, "currency": "usd", "interval": "month"])
        }
        return account
    }

    private func subscribe(_ account: Account, _ slug: String, to plan: String) async throws -> String {
        let customer = try await account.post("/v1/customers", ["email": "admin@\(slug).example"])
        return try await account.post(
            "/v1/subscriptions",
            ["customer": customer, "items": [["plan": plan]], "metadata": ["org_slug": slug]])
    }

    private func reconcile(_ fixture: BillingFixture, _ account: Account) async throws -> ReportFixture {
        let report = ReportFixture()
        try await BillingReconciliation(
            stripe: account.client(), warehouse: fixture.warehouse, today: fixture.today, report: report.report,
            logger: BillingFixture.quiet
        ).run()
        return report
    }

    @Test(arguments: Backend.allCases)
    func followsAnAccountThroughItsLife(_ backend: Backend) async throws {
        let account = try await account()
        let fixture = try await BillingFixture(backend, "billing-localstripe", ["acme", "globex"])
        let acme = try await subscribe(account, "acme", to: "starter")
        _ = try await subscribe(account, "globex", to: "scale")

        let first = try await reconcile(fixture, account)
        #expect(first["synced"] == 2)
        #expect(try await fixture.state("acme")["plan_name"] == "STARTER")
        #expect(try await fixture.state("acme")["status"] == "ACTIVE")
        #expect(try await fixture.state("acme")["current_period_end"] != "")
        #expect(try await fixture.state("globex")["quota.daily_limit"] == "100")

        _ = try await account.post("/v1/subscriptions/\(acme)", ["items": [["plan": "scale"]]])
        let retried = try await fixture.retry(stripe: account.client())
        #expect(retried["named_by_events"] >= 1)
        #expect(try await fixture.state("acme")["plan_name"] == "SCALE")

        try await account.delete("/v1/subscriptions/\(acme)")
        #expect(try await reconcile(fixture, account)["synced"] == 1)
        #expect(try await fixture.state("acme")["status"] == "CANCELLED")
        #expect(try await reconcile(fixture, account)["mismatches"] == 0)
        #expect(try await fixture.audits("acme").map(\.reason) == ["reconciliation", "event", "reconciliation"])
    }

    @Test func readsEveryPage() async throws {
        let account = try await account()
        let customer = try await account.post("/v1/customers", ["email": "admin@acme.example"])
        var made: Set<String> = []
        for _ in 0..<105 {
            made.insert(
                try await account.post("/v1/subscriptions", ["customer": customer, "items": [["plan": "starter"]]]))
        }

        let read = try await StripeListing.all(account.client()).map(\.value.id)

        #expect(read.count == 105)
        #expect(Set(read) == made)
    }

    @Test func aWrongKeyIsSaidToBeOne() async throws {
        let account = try await account()

        let error = await #expect(throws: StripeError.self) {
            try await StripeListing.all(account.client("rk_test_NeverShown"))
        }

        #expect(error?.code == .unauthenticated)
        #expect(error?.description.contains("NeverShown") == false)
    }
}
