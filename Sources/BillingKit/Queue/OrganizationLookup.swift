import JobRuntime

/// Finds the subscriptions of a few organizations in Stripe, as they are now, where they are known to be.
///
/// What is stored and what the payloads say leads to customers, and all subscriptions of those are read. If one of them is
/// active, only an active one that is newer could count instead: those that were made last are looked through for it. An
/// organization without an active one has to be looked for in the whole listing, which is not done here.
///
/// So of two active subscriptions of an organization on two customers, the newer one is found if its customer is stored or
/// in the payload, or if it is one of the thousand that were made last; otherwise by the next reconciliation.
struct OrganizationLookup: Sendable {
    struct Found: Sendable {
        var subscriptions: [String: OrganizationSubscriptions] = [:]
        /// Why the look-up of some organizations failed.
        var problems: [String: BillingProblem] = [:]
    }

    let stripe: StripeClient
    let state: BillingState
    /// The state with those organizations too that have one of these customers or subscriptions stored: those are theirs.
    let stateWithOwners: @Sendable (_ customers: Set<String>, _ subscriptions: Set<String>) async throws -> BillingState
    private static let atOnce = 8
    private static let mostPagesOfNewest = 10

    func find(_ hints: [String: [StripeHints]]) async throws -> Found {
        let seen = Collected()
        try await eachConcurrently(hints.sorted { $0.key < $1.key }, atOnce: Self.atOnce) { slug, hints in
            do {
                seen.add(try await look(for: slug, hints), to: slug)
            } catch let error as StripeError where !error.endsRun {
                seen.fail(slug, BillingProblem(error.description))
            }
        }
        var found = Found(problems: seen.problems)
        for (slug, replies) in try await owned(seen.replies) {
            for reply in replies { found.subscriptions.add(reply, to: slug) }
        }
        try await lookAmongNewest(&found)
        return found
    }

    private func look(for slug: String, _ hints: [StripeHints]) async throws -> [StripeReply<StripeSubscription>] {
        let stored = state.organizations[slug]
        var customers = Set(Self.known([stored?.text(of: .customer)] + hints.map(\.customer)))
        var seen: [StripeReply<StripeSubscription>] = []
        for customer in customers.sorted() { seen += try await subscriptions(of: customer) }
        for id in Set(Self.known([stored?.text(of: .subscription)] + hints.map(\.subscription))).sorted() {
            guard !seen.contains(where: { $0.value.id == id }), let reply = try await stripe.subscription(id) else {
                continue
            }
            seen.append(try await stripe.withAllItems(reply))
            guard let customer = reply.value.customer, customers.insert(customer).inserted else { continue }
            seen += try await subscriptions(of: customer)
        }
        return seen
    }

    private static func known(_ ids: [String?]) -> [String] { ids.compactMap { $0 }.filter { !$0.isEmpty } }

    private func subscriptions(of customer: String) async throws -> [StripeReply<StripeSubscription>] {
        var seen: [StripeReply<StripeSubscription>] = []
        do {
            try await stripe.subscriptions(ofCustomer: customer) { page in
                for reply in page.each { seen.append(try await stripe.withAllItems(reply)) }
                return true
            }
        } catch let error as StripeError where error.code == .notFound || error.code == .invalid {
            // A customer that is gone, as a stored or hinted one may be: then its subscription is looked for everywhere.
        }
        return seen
    }

    /// What is the organization's of what was seen for it. Whoever has a subscription or a customer stored is asked for first,
    /// as a reconciliation would know it.
    private func owned(
        _ seen: [String: [StripeReply<StripeSubscription>]]
    ) async throws -> [String: [StripeReply<StripeSubscription>]] {
        let unnamed = seen.values.joined().map(\.value).filter { !$0.namesOrganization }
        let state =
            unnamed.isEmpty
            ? state : try await stateWithOwners(Set(unnamed.compactMap(\.customer)), Set(unnamed.map(\.id)))
        return seen.reduce(into: [:]) { owned, seen in
            owned[seen.key] = seen.value.filter { state.match($0.value) == .organization(seen.key) }
        }
    }

    private func lookAmongNewest(_ found: inout Found) async throws {
        let active = found.subscriptions.filter { $0.value.activeSince != nil && found.problems[$0.key] == nil }
        guard let oldest = active.values.compactMap(\.activeSince).min() else { return }
        var seen: [String: [StripeReply<StripeSubscription>]] = [:]
        var pages = 0
        do {
            try await stripe.subscriptions { page in
                for reply in page.each {
                    guard case .organization(let slug) = state.match(reply.value), active[slug] != nil else { continue }
                    seen[slug, default: []].append(try await stripe.withAllItems(reply))
                }
                pages += 1
                return pages < Self.mostPagesOfNewest && page.value.allSatisfy { $0.created >= oldest }
            }
        } catch let error as StripeError where !error.endsRun {
            for slug in active.keys { found.problems[slug] = BillingProblem(error.description) }
            return
        }
        for (slug, replies) in try await owned(seen) {
            for reply in replies { found.subscriptions.add(reply, to: slug) }
        }
    }
}
