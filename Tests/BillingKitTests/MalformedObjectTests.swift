import EmbeddedWarehouse
import Foundation
import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

/// Absent and malformed are different: an absent field has a meaning, a malformed one makes its subscription unusable.
@Suite struct StripeObjectTests {
    private static func whole() -> [String: Any] {
        [
            "id": "sub_1", "status": "past_due",
            "customer": [
                "id": "cus_1", "deleted": false, "metadata": ["org_slug": "acme", "pending_org_slug": "acme_2"],
            ],
            "metadata": ["org_slug": "globex", "pending_org_slug": "globex_2"], "created": 1_700_000_001,
            "items": [
                "data": [
                    [
                        "id": "si_1", "current_period_end": 1_700_000_002,
                        "price": ["id": "price_1", "product": "prod_1"],
                    ] as [String: Any]
                ], "has_more": true,
            ] as [String: Any],
            "current_period_end": 1_700_000_003, "trial_end": 1_700_000_004, "cancel_at": 1_700_000_005,
            "ended_at": 1_700_000_006, "cancel_at_period_end": true,
        ]
    }

    /// Every field that is read, with a value that it may not have and what is said of it.
    static let fields: [(path: String, malformed: String, expected: String)] = [
        ("status", "7", "a text"), ("customer", "7", "an object"), ("customer.id", "{}", "a text"),
        ("customer.deleted", #""no""#, "true or false"), ("customer.metadata", "[]", "an object"),
        ("customer.metadata.org_slug", "true", "a text"), ("customer.metadata.pending_org_slug", "1.5", "a text"),
        ("metadata", #""acme""#, "an object"), ("metadata.org_slug", "{}", "a text"),
        ("metadata.pending_org_slug", "[]", "a text"), ("created", #""1700000001""#, "a whole number"),
        ("items", #"{"data": []}"#, "a list with data and has_more"), ("items.data[0].id", "7", "a text"),
        ("items.data[0].current_period_end", "1.5", "a whole number"), ("items.data[0].price", "7", "an object"),
        ("items.data[0].price.id", "7", "a text"), ("items.data[0].price.product", "7", "an object"),
        ("current_period_end", #""2027-01-15""#, "a whole number"), ("trial_end", "true", "a whole number"),
        ("cancel_at", "{}", "a whole number"), ("ended_at", "[]", "a whole number"),
        ("cancel_at_period_end", "1", "true or false"),
    ]

    private static func read(_ object: Any) throws -> StripeSubscription {
        try JSONDecoder().decode(StripeSubscription.self, from: try JSONSerialization.data(withJSONObject: object))
    }

    private static func read(_ path: String, _ value: Any?) throws -> StripeSubscription {
        let keys = path.split { ".[]".contains($0) }.map(String.init)
        return try read(replacing(keys[...], in: whole(), by: value))
    }

    private static func replacing(_ keys: ArraySlice<String>, in tree: Any, by value: Any?) -> Any {
        guard let key = keys.first else { return value ?? NSNull() }
        if var list = tree as? [Any], let index = Int(key) {
            list[index] = replacing(keys.dropFirst(), in: list[index], by: value)
            return list
        }
        var object = tree as? [String: Any] ?? [:]
        if keys.count == 1 {
            object[key] = value
        } else {
            object[key] = replacing(keys.dropFirst(), in: object[key] ?? [:], by: value)
        }
        return object
    }

    @Test func everyFieldIsReadFromItsPlace() throws {
        let subscription = try Self.read(Self.whole())

        #expect(subscription.malformed == [])
        #expect(subscription.id == "sub_1")
        #expect(subscription.status == "past_due")
        #expect(subscription.customer == "cus_1")
        #expect(subscription.customerMetadata?[.orgSlug] == "acme")
        #expect(subscription.customerMetadata?[.pendingOrgSlug] == "acme_2")
        #expect(subscription.metadata[.orgSlug] == "globex")
        #expect(subscription.metadata[.pendingOrgSlug] == "globex_2")
        #expect(subscription.created == 1_700_000_001)
        #expect(subscription.items.map(\.id) == ["si_1"])
        #expect(subscription.items.map(\.price) == ["price_1"])
        #expect(subscription.items.map(\.product) == ["prod_1"])
        #expect(subscription.items.map(\.currentPeriodEnd) == [1_700_000_002])
        #expect(subscription.hasMoreItems)
        #expect(subscription.currentPeriodEnd == 1_700_000_003)
        #expect(subscription.trialEnd == 1_700_000_004)
        #expect(subscription.cancelAt == 1_700_000_005)
        #expect(subscription.endedAt == 1_700_000_006)
        #expect(subscription.cancelsAtPeriodEnd)
    }

    @Test(arguments: fields)
    func aMalformedFieldIsNamed(_ field: (path: String, malformed: String, expected: String)) throws {
        let value = try JSONSerialization.jsonObject(with: Data(field.malformed.utf8), options: .fragmentsAllowed)

        let subscription = try Self.read(field.path, value)

        #expect(subscription.problem?.description == "subscription sub_1: \(field.path) is not \(field.expected)")
    }

    @Test(arguments: fields.map(\.path).filter { !$0.hasSuffix("id") })
    func nullIsAbsent(_ path: String) throws {
        let (null, absent) = (try Self.read(path, NSNull()), try Self.read(path, nil))

        #expect(null.problem == nil && absent.problem == nil)
        #expect(null == absent)
        // A customer that is not deleted is one without the field.
        #expect((null == (try Self.read(Self.whole()))) == (path == "customer.deleted"))
    }

    @Test(arguments: ["items.data[0].id", "customer.id", "items.data[0].price.id"])
    func anObjectWithoutAnIdIsMalformed(_ path: String) throws {
        for value in [nil, NSNull(), ""] as [Any?] {
            #expect(try Self.read(path, value).problem?.description == "subscription sub_1: \(path) is missing")
        }
    }

    @Test func aSubscriptionWithoutAnIdSaysSo() throws {
        #expect(try Self.read("id", nil).problem?.description == "a subscription without an id: id is missing")
        #expect(try Self.read("id", 7).problem?.description == "a subscription without an id: id is not a text")
        let page = try JSONDecoder().decode(
            StripePage<StripeSubscription>.self, from: Data(#"{"data": [7, "x", null], "has_more": false}"#.utf8))
        #expect(
            page.data.map(\.problem?.description)
                == .init(repeating: "a subscription without an id: it is not an object", count: 3))
    }

    @Test func aNumberInMetadataIsItsText() throws {
        let subscription = try Self.read("metadata.org_slug", 7)

        #expect(subscription.metadata[.orgSlug] == "7" && subscription.problem == nil)
    }

    @Test func manyMalformedFieldsAreOneLine() throws {
        let subscription = try Self.read([
            "id": "sub_1", "status": 1, "created": "x", "trial_end": "x", "ended_at": "x",
        ])

        #expect(
            subscription.problem?.description
                == "subscription sub_1: status is not a text, created is not a whole number, trial_end is not a whole number and 1 more"
        )
    }
}

/// One malformed object among good ones, from Stripe's reply to the warehouse.
@Suite struct MalformedObjectTests {
    /// Two organizations in sync, after which both have another plan, and acme's subscription has a malformed field.
    private func fixture(_ name: String, _ field: String, _ json: String) async throws -> BillingFixture {
        let fixture = try await BillingFixture(Backend.allCases[0], name, ["acme", "globex"])
        fixture.stripe.change {
            $0.subscriptions = [
                .init(id: "sub_acme", customer: "cus_acme", metadata: ["org_slug": "acme"]),
                .init(id: "sub_globex", customer: "cus_globex", metadata: ["org_slug": "globex"]),
                // Would count for acme if the malformed one did not exist.
                .init(
                    id: "sub_old", customer: "cus_acme", status: "canceled", metadata: ["org_slug": "acme"],
                    created: 1_600_000_000),
            ]
        }
        try await fixture.reconcile()
        fixture.stripe.change {
            for index in 0...1 { $0.subscriptions[index].product = "prod_scale" }
            $0.subscriptions[0].overrides = [field: json]
        }
        return fixture
    }

    private static let fields = StripeObjectTests.fields.filter { !$0.path.contains(".") }

    @Test(arguments: fields)
    func aReconciliationNamesItAndCorrectsTheOthers(
        _ field: (path: String, malformed: String, expected: String)
    ) async throws {
        let fixture = try await fixture("billing-malformed-\(field.path)", field.path, field.malformed)
        let before = try await fixture.state("acme")

        let report = try await fixture.reconcile(cancelMissing: 10)

        #expect(report.failures.map(\.subject) == [#""acme""#])
        #expect(
            report.failures.map(\.reason) == ["subscription sub_acme: \(field.path) is not \(field.expected)"])
        #expect(report["errors"] == 1 && report["missing_in_stripe"] == 0)
        #expect(try await fixture.state("acme") == before)
        #expect(try await fixture.state("globex")["plan_name"] == "SCALE")
    }

    @Test(arguments: fields)
    func theQueuePostponesItsItemAndCompletesTheOthers(
        _ field: (path: String, malformed: String, expected: String)
    ) async throws {
        let fixture = try await fixture("billing-malformed-queue-\(field.path)", field.path, field.malformed)
        let before = try await fixture.state("acme")
        for slug in ["acme", "globex"] { try await fixture.enqueue(slug, id: slug) }

        let report = try await fixture.retry()

        let queue = try await fixture.queue()
        #expect(report["postponed"] == 1 && report["completed"] == 1)
        #expect(queue["acme"]?.error == "subscription sub_acme: \(field.path) is not \(field.expected)")
        #expect(try await fixture.state("acme") == before)
        #expect(try await fixture.state("globex")["plan_name"] == "SCALE")
    }

    @Test func aSubscriptionThatNobodyOwnsIsAFailureOfItsOwn() async throws {
        let fixture = try await fixture("billing-malformed-unmatched", "trial_end", "null")
        fixture.stripe.change {
            var stranger = FakeStripe.Subscription(id: "sub_9", customer: "cus_9")
            stranger.overrides = ["metadata": "7"]
            $0.subscriptions.append(stranger)
        }

        let report = try await fixture.reconcile()

        #expect(report.failures.map(\.subject) == ["subscription sub_9"])
        #expect(
            report.failures.first?.reason.hasPrefix("metadata is not an object; its organization is unknown") == true)
        #expect(report["synced"] == 2 && report["errors"] == 1)
    }

    /// The item's customer has it, so it may be the subscription that counts.
    @Test func aSubscriptionOfTheCustomerThatNamesNobodyStopsItsItem() async throws {
        let fixture = try await fixture("billing-malformed-customer", "trial_end", "null")
        fixture.stripe.change {
            var stranger = FakeStripe.Subscription(id: "sub_9", customer: "cus_9")
            stranger.overrides = ["metadata": "7"]
            $0.subscriptions.append(stranger)
        }
        try await fixture.enqueue("acme", id: "acme", payload: #"{"customer_id": "cus_9"}"#)

        let report = try await fixture.retry()

        #expect(report["postponed"] == 1)
        #expect(try await fixture.queue()["acme"]?.error == "subscription sub_9: metadata is not an object")
        #expect(try await fixture.state("acme")["plan_name"] == "STARTER")
    }

    /// The entry may be any subscription, so nobody is known to be gone.
    @Test func anEntryWithoutAnIdKeepsTheMissingFromBeingCancelled() async throws {
        let fixture = try await fixture("billing-malformed-entry", "trial_end", "null")
        fixture.stripe.change {
            $0.subscriptions[0].overrides = ["id": "null", "metadata": "null", "customer": "null"]
            $0.subscriptions.removeLast()
        }

        let report = try await fixture.reconcile(cancelMissing: 10)

        #expect(report["missing_in_stripe"] == 1)
        #expect(report.failures.map(\.subject) == ["a subscription without an id", "missing_in_stripe"])
        #expect(try await fixture.state("acme")["status"] == "ACTIVE")
        #expect(try await fixture.state("globex")["plan_name"] == "SCALE")
    }

    @Test func aPageThatEndsWithoutAnIdIsNotTheLastOne() async throws {
        let fixture = try await fixture("billing-malformed-page", "trial_end", "null")
        fixture.stripe.change {
            $0.pageSize = 2
            $0.subscriptions[1].overrides = ["id": "7"]
            $0.subscriptions[2] = .init(
                id: "sub_newer", customer: "cus_acme", product: "prod_starter", metadata: ["org_slug": "acme"],
                created: 1_790_000_000)
        }

        let report = try await fixture.reconcile()

        #expect(report.failures.map(\.subject) == [#""globex""#])
        #expect(report.failures.map(\.reason) == ["a subscription without an id: id is not a text"])
        #expect(try await fixture.state("acme")["stripe_subscription_id"] == "sub_newer")
    }

    @Test(arguments: [#"{"teamMembers": {}}"#, "7"])
    func aMalformedProductConcernsItsSubscriptionsOnly(_ metadata: String) async throws {
        let fixture = try await fixture("billing-malformed-product", "trial_end", "null")
        fixture.stripe.change {
            $0.subscriptions[0].product = "prod_broken"
            $0.onRequest = { account, request in
                guard request.path == "/v1/products" else { return nil }
                let scale = String(
                    decoding: (try? JSONEncoder().encode(account.products["prod_scale"])) ?? Data(), as: UTF8.self)
                return .json(
                    #"{"data": [{"id": "prod_broken", "metadata": \#(metadata)}, {"id": "prod_scale", "metadata": \#(scale)}], "has_more": false}"#
                )
            }
        }

        let report = try await fixture.reconcile()

        let problem = metadata == "7" ? "metadata is not an object" : "metadata.teamMembers is not a text"
        #expect(report.failures.map(\.subject) == [#""acme""#])
        #expect(report.failures.map(\.reason) == ["product prod_broken: \(problem)"])
        #expect(try await fixture.state("globex")["plan_name"] == "SCALE")
    }
}
