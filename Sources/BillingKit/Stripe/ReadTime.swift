package import JobRuntime

/// When something was read from Stripe: it is as Stripe had it at some instant from `from`, when the first request was sent,
/// to `until`, when the last reply was there.
///
/// Of two reads that overlap nobody can tell which one is newer. So a read counts as newer than another one only if it
/// began after the other one had ended.
package struct ReadTime: Hashable, Sendable {
    package var from: Timestamp
    package var until: Timestamp

    package init(from: Timestamp, until: Timestamp) {
        self.from = from
        self.until = until
    }

    /// The time of both reads together.
    func joined(_ other: ReadTime) -> ReadTime {
        ReadTime(from: min(from, other.from), until: max(until, other.until))
    }
}

/// A reply of Stripe with the time of its reading.
struct StripeReply<Value: Sendable>: Sendable {
    var value: Value
    var time: ReadTime
    var requestID: String?
}

extension StripeReply where Value == [StripeSubscription] {
    /// A page's subscriptions, each with the time of the page.
    var each: [StripeReply<StripeSubscription>] {
        value.map { StripeReply<StripeSubscription>(value: $0, time: time, requestID: requestID) }
    }
}
