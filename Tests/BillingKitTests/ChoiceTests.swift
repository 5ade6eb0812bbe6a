import Foundation
import JobRuntime
import Testing

@testable import BillingKit

@Suite struct ChoiceTests {
    private static let time = ReadTime(from: SteadyClock.start, until: SteadyClock.start.adding(.seconds(1)))

    private static func reply(_ id: String, _ status: String, created: Int) throws -> StripeReply<StripeSubscription> {
        let json = #"{"id": "\#(id)", "status": "\#(status)", "created": \#(created)}"#
        return StripeReply(
            value: try JSONDecoder().decode(StripeSubscription.self, from: Data(json.utf8)), time: time)
    }

    private static func chosen(_ subscriptions: [(String, String, Int)]) throws -> String {
        let replies = try subscriptions.map { try reply($0.0, $0.1, created: $0.2) }
        var all = OrganizationSubscriptions(replies[0])
        for reply in replies.dropFirst() { all.add(reply) }
        return try all.chosen().value.id
    }

    @Test(arguments: [
        ([("a", "trialing", 9), ("b", "active", 1)], "b"), ([("a", "past_due", 9), ("b", "trialing", 1)], "b"),
        ([("a", "unpaid", 9), ("b", "past_due", 1)], "b"), ([("a", "canceled", 5), ("b", "unpaid", 9)], "b"),
        ([("a", "active", 5), ("b", "active", 9)], "b"), ([("a", "incomplete", 9), ("b", "canceled", 5)], "a"),
        ([("b", "active", 5), ("a", "active", 5)], "a"),
    ])
    func oneOfSeveralCounts(_ subscriptions: [(String, String, Int)], _ expected: String) throws {
        #expect(try Self.chosen(subscriptions) == expected)
        #expect(try Self.chosen(subscriptions.reversed()) == expected)
    }

    @Test func anUnknownStatusMakesEveryChoiceAGuess() {
        let error = #expect(throws: BillingProblem.self) { try Self.chosen([("a", "active", 9), ("b", "frozen", 1)]) }

        #expect(error?.description == #"subscription b has the unknown status "frozen""#)
    }

    @Test func whatWasReadAgainCountsAsItIsThen() throws {
        var all = OrganizationSubscriptions(try Self.reply("a", "active", created: 1))
        all.add(try Self.reply("b", "trialing", created: 2))
        all.add(try Self.reply("a", "canceled", created: 1))

        #expect(try all.chosen().value.id == "b")
    }

    @Test func aReadingCoversAllThatWasRead() throws {
        var all = OrganizationSubscriptions(try Self.reply("a", "active", created: 1))
        var later = try Self.reply("b", "canceled", created: 2)
        later.time = ReadTime(from: Self.time.until, until: Self.time.until.adding(.seconds(5)))
        all.add(later)

        #expect(try all.chosen().time == ReadTime(from: Self.time.from, until: later.time.until))
    }
}
