import JobRuntime

/// Everything that the account has, read to its end.
struct StripeListing: Sendable {
    let subscriptions: SubscriptionList
    let plans: PlanCatalog
    let time: ReadTime

    /// The products are read last, so that they include the product of every subscription.
    static func read(_ stripe: StripeClient, _ report: RunReport? = nil) async throws -> StripeListing {
        let subscriptions = try await all(stripe)
        report?.add(subscriptions.count, to: "subscriptions")
        let plans = try await PlanCatalog.read(stripe, for: subscriptions.lazy.map(\.value))
        let time = subscriptions.times.reduce(plans.time) { $0.joined($1) }
        return StripeListing(subscriptions: subscriptions, plans: plans, time: time)
    }

    static func all(_ stripe: StripeClient) async throws -> SubscriptionList {
        var found = SubscriptionList()
        try await stripe.subscriptions { page in
            for reply in page.each { found.append(try await stripe.withAllItems(reply)) }
            return true
        }
        return found
    }
}

/// The subscriptions of a listing, in its order. Each is kept as its bytes; see ``CompactList``.
struct SubscriptionList: RandomAccessCollection, Sendable {
    /// Subscriptions that came together, from a number on.
    private struct Page {
        var start: Int
        var time: ReadTime
        var requestID: String?
    }

    private var list = CompactList<StripeSubscription>()
    private var pages: [Page] = []
    /// A subscription came whose id cannot be read.
    private(set) var hasOneWithoutID = false

    var startIndex: Int { 0 }
    var endIndex: Int { list.count }
    var times: some Sequence<ReadTime> { pages.lazy.map(\.time) }

    subscript(number: Int) -> StripeReply<StripeSubscription> {
        var (low, high) = (0, pages.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if pages[middle].start <= number { low = middle } else { high = middle }
        }
        return StripeReply(value: list[number], time: pages[low].time, requestID: pages[low].requestID)
    }

    func id(_ number: Int) -> String { list.read(String.self, at: number) }

    mutating func append(_ reply: StripeReply<StripeSubscription>) {
        if pages.last?.time != reply.time || pages.last?.requestID != reply.requestID {
            pages.append(Page(start: list.count, time: reply.time, requestID: reply.requestID))
        }
        if reply.value.id.isEmpty { hasOneWithoutID = true }
        list.append(reply.value)
    }
}
