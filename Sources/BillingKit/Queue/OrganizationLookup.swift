import JobRuntime

/// Finds the subscriptions of a few organizations in Stripe, as they are now.
///
/// What is stored and what the payloads say leads to customers, and all subscriptions of those are read. An organization with
/// nothing to start from, or with nothing active there, may have its subscription elsewhere: for all of those together the
/// whole account is listed once.
struct OrganizationLookup: Sendable {
    typealias Found = [String: OrganizationSubscriptions]

    let stripe: StripeClient
    let state: BillingState
    /// The state of all organizations, for the whole listing: what is stored for others is theirs.
    let wholeState: @Sendable () async throws -> BillingState
    private static let atOnce = 8

    /// - Returns: The subscriptions of each organization that has any; and why the look-up of others failed.
    func find(_ hints: [String: [StripeHints]]) async throws -> (found: Found, problems: [String: BillingProblem]) {
        let found = Collected()
        let problems = Collected.Problems()
        try await eachConcurrently(hints.sorted { $0.key < $1.key }, atOnce: Self.atOnce) { slug, hints in
            do {
                try await look(for: slug, hints, found)
            } catch let error as StripeError where !error.endsRun {
                problems.set(slug, BillingProblem(error.description))
            }
        }
        let rest = hints.keys.filter { slug in !(found[slug]?.isLive ?? false) && problems[slug] == nil }
        if !rest.isEmpty {
            do {
                try await lookEverywhere(for: Set(rest), found)
            } catch let error as StripeError where !error.endsRun {
                for slug in rest { problems.set(slug, BillingProblem(error.description)) }
            }
        }
        return (found.all, problems.all)
    }

    private func lookEverywhere(for slugs: Set<String>, _ found: Collected) async throws {
        let listed = try await StripeListing.all(stripe)
        for (slug, subscriptions) in try await SubscriptionAssignment(stripe, try await wholeState()).assign(listed)
            .found
        where slugs.contains(slug) {
            for reply in subscriptions.replies { found.add(slug, reply) }
        }
    }

    private func look(for slug: String, _ hints: [StripeHints], _ found: Collected) async throws {
        let stored = state.organizations[slug]
        var customers = Set(Self.known([stored?.text(of: .customer)] + hints.map(\.customer)))
        for customer in customers { try await look(at: customer, for: slug, found) }
        for id in Set(Self.known([stored?.text(of: .subscription)] + hints.map(\.subscription))).sorted() {
            guard found[slug]?.replies.contains(where: { $0.value.id == id }) != true,
                let reply = try await stripe.subscription(id)
            else { continue }
            try await add(try await stripe.withAllItems(reply), of: slug, found)
            guard let customer = reply.value.customer, customers.insert(customer).inserted else { continue }
            try await look(at: customer, for: slug, found)
        }
    }

    private static func known(_ ids: [String?]) -> [String] { ids.compactMap { $0 }.filter { !$0.isEmpty } }

    private func look(at customer: String, for slug: String, _ found: Collected) async throws {
        do {
            try await stripe.subscriptions(ofCustomer: customer) { page in
                for subscription in page.value {
                    let reply = StripeReply(value: subscription, time: page.time, requestID: page.requestID)
                    try await add(try await stripe.withAllItems(reply), of: slug, found)
                }
            }
        } catch let error as StripeError where error.code == .notFound || error.code == .invalid {
            // A customer that is gone, as a stored or hinted one may be: then its subscription is looked for everywhere.
            return
        }
    }

    private func add(_ reply: StripeReply<StripeSubscription>, of slug: String, _ found: Collected) async throws {
        var match = state.match(reply.value)
        if case .customer(let id) = match { match = state.match(try await stripe.customer(id)) }
        guard match == .organization(slug) else { return }
        found.add(slug, reply)
    }
}
