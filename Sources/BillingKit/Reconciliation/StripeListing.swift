import JobRuntime

/// Everything that the account has, read to its end.
struct StripeListing: Sendable {
    let subscriptions: [StripeReply<StripeSubscription>]
    let plans: PlanCatalog
    let startedAt: Timestamp

    /// The products are read last, so that they have the product of every subscription.
    static func read(_ stripe: StripeClient, _ report: RunReport) async throws -> StripeListing {
        let subscriptions = try await all(stripe)
        report.add(subscriptions.count, to: "subscriptions")
        let plans = try await PlanCatalog.read(stripe, for: subscriptions.lazy.map(\.value))
        let startedAt = subscriptions.map(\.time.from).min() ?? plans.time.from
        return StripeListing(subscriptions: subscriptions, plans: plans, startedAt: startedAt)
    }

    static func all(_ stripe: StripeClient) async throws -> [StripeReply<StripeSubscription>] {
        var found: [StripeReply<StripeSubscription>] = []
        try await stripe.subscriptions { page in
            for reply in page.each { found.append(try await stripe.withAllItems(reply)) }
            return true
        }
        return found
    }
}
