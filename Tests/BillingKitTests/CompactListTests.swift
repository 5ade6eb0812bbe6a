import Foundation
import JobRuntime
import Testing
import Warehouse

@testable import BillingKit

/// Whatever is kept as bytes is read back as it was.
@Suite struct CompactListTests {
    private static let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

    private static func subscription(_ text: String) throws -> StripeSubscription {
        try JSONDecoder().decode(StripeSubscription.self, from: Data(text.utf8))
    }

    @Test func textsOfEveryLengthAndCharacter() {
        var texts = (0...64).map { String(Self.alphabet.suffix($0)) }
        texts += (0...9).map { String(repeating: "-", count: $0) }
        texts += ["a.b", "sub 1", "Zoë", "\u{0}", "組織", String(repeating: "x", count: 70_000)]
        var list = CompactList<String>()

        for text in texts { list.append(text) }

        #expect(Array(list) == texts)
    }

    @Test func numbersOfEverySize() {
        let powers = (0..<63).flatMap { [Int64(1) << $0, -(Int64(1) << $0), (Int64(1) << $0) - 1] }
        let numbers = powers + [.min, .max, 0]
        var list = CompactList<Int64>()

        for number in numbers { list.append(number) }

        #expect(Array(list) == numbers)
    }

    @Test(arguments: [
        "{}", "7",
        #"{"id": "sub_1", "status": "active", "customer": "cus_1", "created": 1700000000, "livemode": true}"#,
        #"{"id": "sub_1", "customer": {"id": "cus_1", "deleted": true}, "metadata": {"org_slug": "", "teamMembers": 3}}"#,
        #"{"id": 7, "status": [], "customer": {"metadata": {"org_slug": "a b"}}, "items": {"data": [{"id": 1}], "has_more": 2}}"#,
        """
        {"id": "sub_1", "status": "trialing", "trial_end": 1, "cancel_at": 2, "ended_at": 3, "current_period_end": -4,
         "cancel_at_period_end": true, "livemode": false, "metadata": {"pending_org_slug": "acme", "plan_id": "pro"},
         "customer": {"id": "cus_1", "metadata": {"org_slug": "globex"}},
         "items": {"has_more": true, "data": [
          {"id": "si_1", "current_period_end": 5, "price": {"id": "price_1", "product": "prod_1"}},
          {"id": "si_2", "price": "price_2"}, {"id": "si_3", "plan": {"id": "plan_3", "product": {"id": "prod_3"}}}]}}
        """,
    ])
    func aSubscriptionOfAnyShape(_ text: String) throws {
        let subscription = try Self.subscription(text)
        var list = CompactList<StripeSubscription>()

        list.append(try Self.subscription(#"{"id": "sub_0", "status": "paused"}"#))
        list.append(subscription)

        #expect(list[1] == subscription)
        #expect(list.read(String.self, at: 1) == subscription.id)
    }

    /// Each has a price of its own, more than are kept as shared, and they take several blocks.
    @Test func manySubscriptionsThatShareNothing() throws {
        let subscriptions = try (0..<3000).map { number in
            try Self.subscription(
                """
                {"id": "sub_\(number)", "status": "status \(number)", "metadata": {"org_slug": "organization_\(number)"},
                 "items": {"data": [{"id": "si_\(number)", "price": {"id": "price \(number)", "product": "prod \(number)"}}],
                 "has_more": false}}
                """)
        }
        var list = CompactList<StripeSubscription>()

        for subscription in subscriptions { list.append(subscription) }

        #expect(list.elementsEqual(subscriptions))
    }

    @Test func aListKeepsTheTimeAndRequestOfEachSubscription() throws {
        let times = (0..<4).map { ReadTime(from: Timestamp(microseconds: $0), until: Timestamp(microseconds: $0 + 1)) }
        let pages = [(0, "req_1", 2), (1, "req_2", 1), (1, "req_3", 3), (3, nil, 1)]
        var list = SubscriptionList()

        for (time, requestID, count) in pages {
            for _ in 0..<count {
                let value = try Self.subscription(#"{"id": "sub_\#(list.count)"}"#)
                list.append(StripeReply(value: value, time: times[time], requestID: requestID))
            }
        }

        #expect(list.map(\.requestID) == ["req_1", "req_1", "req_2", "req_3", "req_3", "req_3", nil])
        #expect(list.map(\.time) == [0, 0, 1, 1, 1, 1, 3].map { times[$0] })
        #expect(list.map(\.value.id) == (0..<7).map { "sub_\($0)" })
        #expect(list.indices.map(list.id) == (0..<7).map { "sub_\($0)" })
        #expect(!list.hasOneWithoutID)
    }

    /// - Parameter filled: The only field that is not NULL, or all fields.
    @Test(arguments: BillingField.all.map(\.name) + [nil])
    func everyFieldOfAStoredState(_ filled: String?) throws {
        let value: (BillingField) -> SQLValue = { field in
            guard filled == nil || filled == field.name else { return .null(field.type) }
            return switch field.type {
            case .string: .string("text of \(field.name)")
            case .int64: .int64(7)
            case .date: .date(CivilDate("2026-03-01")!)
            case .timestamp: .timestamp(Timestamp(microseconds: 1_800_000_000_000_001))
            default: .bool(true)
            }
        }
        let row = Row(
            [
                .init("org_slug", .string("acme")), .init("subscription_id", .string("row_1")),
                .init("stripe_read_at", .timestamp(Timestamp(microseconds: 5))), .init("row_count", .int64(3)),
                .init("live_rows", .int64(2)), .init("profile_variants", .int64(1)),
                .init("profile_plan", .string("PRO")), .init("quota_variants", .int64(1)),
                .init("is_in_progress", .bool(true)),
            ] + BillingField.all.map { .init($0.name, value($0)) }
                + BillingField.limits.map { .init("quota_\($0.name)", .int64(8)) })
        let stored = try StoredBilling(row)

        let read = try #require(try BillingState([row]).organizations["acme"])

        #expect(BillingField.all.map { $0.value(read.values) } == BillingField.all.map(value))
        #expect(read.slug == stored.slug && read.row == stored.row && read.version == stored.version)
        #expect(read.rows == 3 && read.otherLiveRows == stored.otherLiveRows && read.isInProgress)
        #expect(read.quota == stored.quota && read.quota != .none && read.profilePlan == .one("PRO"))
    }

    @Test(arguments: [(StoredBilling.Copy<String?>.none, Int64(0)), (.one(nil), 1), (.contradictory, 2)])
    func aCopyInAnotherTable(_ expected: StoredBilling.Copy<String?>, _ variants: Int64) throws {
        var row = StoredBilling.row("acme")
        let index = try #require(row.fields.firstIndex { $0.name == "profile_variants" })
        row.fields[index].value = .int64(variants)
        row.fields.append(.init("profile_plan", .null(.string)))

        let read = try #require(try BillingState([row]).organizations["acme"])

        #expect(read.profilePlan == expected)
    }
}
