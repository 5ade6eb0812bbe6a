import Foundation
import JobRuntime
import Testing

@testable import BillingKit

@Suite struct PlanTests {
    private static func product(_ metadata: [String: String]) throws -> StripeProduct {
        let data = try JSONSerialization.data(withJSONObject: ["id": "prod_1", "metadata": metadata])
        return try JSONDecoder().decode(StripeProduct.self, from: data)
    }

    private static let complete = [
        "plan_id": "professional", "teamMembers": "6", "providers": "6", "pipelinesPerDay": "25",
        "concurrentPipelines": "4",
    ]

    @Test func readsThePlanAndItsLimits() throws {
        let plan = try Plan(Self.product(Self.complete))

        #expect(plan.name == "PROFESSIONAL")
        #expect([plan.daily, plan.monthly, plan.concurrent, plan.seats, plan.providers] == [25, 750, 4, 6, 6])
    }

    @Test(arguments: [
        ("starter", "STARTER"), ("Scale", "SCALE"), ("ENTERPRISE", "ENTERPRISE"), ("custom-2026_a", "CUSTOM-2026_A"),
    ])
    func everyOtherNameIsAPlanToo(_ id: String, _ name: String) throws {
        #expect(try Plan(Self.product(Self.complete.merging(["plan_id": id]) { $1 })).name == name)
    }

    @Test func twoRunAtOnceWhereNothingElseIsSaid() throws {
        var metadata = Self.complete
        metadata["concurrentPipelines"] = nil

        #expect(try Plan(Self.product(metadata)).concurrent == 2)
    }

    @Test(arguments: ["plan_id", "teamMembers", "providers", "pipelinesPerDay"])
    func missingMetadataIsAnError(_ key: String) throws {
        for value in [nil, ""] {
            var metadata = Self.complete
            metadata[key] = value
            let product = try Self.product(metadata)

            #expect(throws: BillingProblem("product prod_1 has no metadata \(key)")) { try Plan(product) }
        }
    }

    @Test(arguments: [
        "ten", "€10", "10,00", "12.5", "-1", "+5", " 6", "1e3", "٣", "1000000001", "99999999999999999999", "unlimited",
    ])
    func metadataThatIsNoWholeNumberIsAnError(_ text: String) throws {
        for key in ["teamMembers", "providers", "pipelinesPerDay", "concurrentPipelines"] {
            let product = try Self.product(Self.complete.merging([key: text]) { $1 })

            let error = #expect(throws: BillingProblem.self) { try Plan(product) }

            #expect(error?.description.contains("metadata \(key) \(quoted(text)) is not a whole number") == true)
        }
    }

    @Test(arguments: ["a b", "a'; DROP TABLE x", "ä", "a\u{1F}b", String(repeating: "x", count: 65)])
    func aPlanHasAPlainName(_ id: String) throws {
        let product = try Self.product(Self.complete.merging(["plan_id": id]) { $1 })

        #expect(throws: BillingProblem.self) { try Plan(product) }
    }

    /// A base price and a price for seats, say, and something that is no plan.
    @Test func severalItemsOfOneProductAreOnePlanThatEndsFirst() throws {
        let (plan, end) = try Self.plan(items: [("prod_1", 9), ("prod_2", 3), ("prod_1", 7)])

        #expect(plan.name == "PROFESSIONAL")
        #expect(end == 7)
    }

    @Test func productsOfOnePlanIDAreOnePlan() throws {
        let (plan, end) = try Self.plan(items: [("prod_1", 9), ("prod_3", 8), ("prod_5", 7)])

        #expect(plan.name == "PROFESSIONAL")
        #expect(plan.daily == 25)
        #expect(end == 7)
    }

    @Test func productsOfOnePlanThatDisagreeAreAnError() throws {
        let error = #expect(throws: BillingProblem.self) { try Self.plan(items: [("prod_1", 9), ("prod_6", 9)]) }

        #expect(
            error?.description == "products prod_1 and prod_6 are one plan, and their metadata teamMembers disagree")
    }

    @Test func twoPlansAreAnError() throws {
        let error = #expect(throws: BillingProblem.self) { try Self.plan(items: [("prod_1", 9), ("prod_4", 9)]) }

        #expect(error?.description == #"subscription sub_1 has several plans: "professional" and "other""#)
    }

    /// prod_1 and prod_3 are one plan, prod_4 is another one, prod_2 is none. prod_5 names the first plan and no limits, and
    /// prod_6 names it with another limit.
    private static func plan(items: [(product: String, end: Int)]) throws -> (Plan, Int64?) {
        let other = complete.merging(["plan_id": "other"]) { $1 }
        let contradiction = complete.merging(["teamMembers": "7"]) { $1 }
        let products = try [
            ("prod_1", complete), ("prod_2", [:]), ("prod_3", complete), ("prod_4", other),
            ("prod_5", ["plan_id": "Professional"]), ("prod_6", contradiction),
        ].map { id, metadata in
            let data = try JSONSerialization.data(withJSONObject: ["id": id, "metadata": metadata])
            return try JSONDecoder().decode(StripeProduct.self, from: data)
        }
        let list: [[String: Any]] = items.enumerated().map { index, item in
            [
                "id": "si_\(index)", "current_period_end": item.end,
                "price": ["id": "price_\(index)", "product": item.product],
            ]
        }
        let data = try JSONSerialization.data(
            withJSONObject: ["id": "sub_1", "items": ["data": list, "has_more": false]])
        let time = ReadTime(from: SteadyClock.start, until: SteadyClock.start)
        let reading = PlanCatalog(products: StripeReply(value: products, time: time))
            .reading(of: try JSONDecoder().decode(StripeSubscription.self, from: data))
        guard case .plan(let plan, let end) = reading else { throw reading.problem! }
        return (plan, end)
    }

    @Test(arguments: [
        ("trialing", "TRIAL"), ("active", "ACTIVE"), ("past_due", "SUSPENDED"), ("unpaid", "SUSPENDED"),
        ("paused", "SUSPENDED"), ("incomplete", "SUSPENDED"), ("canceled", "CANCELLED"),
        ("incomplete_expired", "CANCELLED"),
    ])
    func everyStatusHasItsMeaning(_ status: String, _ stored: String) throws {
        #expect(SubscriptionStatus(rawValue: status)?.stored == stored)
        #expect(SubscriptionStatus.allCases.count == 8)
    }
}
