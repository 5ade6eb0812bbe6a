import JobRuntime
import Synchronization

/// Finds the subscriptions of a few organizations in Stripe, as they are now, where they are known to be.
///
/// The stored ids and the payloads lead to customers, and all subscriptions of those customers are read. If one of them is
/// active, only a newer active one could count instead: the newest subscriptions of the account are searched for it (fact ST-02). An
/// organization without an active subscription needs the listing of the whole account, which is not read here.
///
/// So if an organization has two active subscriptions with two customers, the newer one is found if its customer is stored or in
/// the payload, or if it is among the thousand newest of the account; otherwise the next reconciliation finds it.
struct OrganizationLookup: Sendable {
    struct Found: Sendable {
        var subscriptions: [String: OrganizationSubscriptions] = [:]
        /// The ids of all subscriptions that were read, also of those that belong to somebody else.
        var seen: Set<String> = []
        var plans: PlanCatalog
        /// Why the look-up of some organizations failed.
        var problems: [String: BillingProblem] = [:]
    }

    let stripe: StripeClient
    let state: BillingState
    /// Reads the state again, with every organization that is named by these subscriptions, or has one of them or of their
    /// customers stored.
    let stateWithOwners: @Sendable (_ subscriptions: [StripeSubscription]) async throws -> BillingState
    private static let atOnce = 8
    private static let mostPagesOfNewest = 10

    /// - Throws: What would fail every look-up: a refusal of the key, an outage of Stripe, a listing that cannot be read.
    func find(_ hints: [String: [StripeHints]]) async throws -> Found {
        let results = Mutex([String: Result<[StripeReply<StripeSubscription>], StripeError>]())
        try await eachConcurrently(hints.sorted { $0.key < $1.key }, atOnce: Self.atOnce) { slug, hints in
            do {
                let replies = try await read(slug, hints)
                results.withLock { $0[slug] = .success(replies) }
            } catch let error as StripeError where !error.endsRun {
                results.withLock { $0[slug] = .failure(error) }
            }
        }
        var problems: [String: BillingProblem] = [:]
        var candidates: [String: [StripeReply<StripeSubscription>]] = [:]
        var outage: StripeError?
        for (slug, result) in results.withLock({ $0 }) {
            switch result {
            case .success(let replies): candidates[slug] = replies
            case .failure(let error):
                problems[slug] = BillingProblem(error.description)
                if error.mayBeOutage { outage = error }
            }
        }
        // One request says whether Stripe is down for all, or has a fault with one object.
        if let outage { try await stripe.confirmIsThere(after: outage) }
        var subscriptions: [String: OrganizationSubscriptions] = [:]
        for (slug, replies) in try await owned(candidates) {
            for reply in replies { subscriptions.add(reply, to: slug) }
        }
        let plans = try await PlanCatalog.read(stripe, for: subscriptions.values.flatMap { $0.replies.map(\.value) })
        var found = Found(subscriptions: subscriptions, plans: plans, problems: problems)
        found.seen = Set(candidates.values.joined().map(\.value.id))
        try await searchNewest(&found)
        return found
    }

    private func read(_ slug: String, _ hints: [StripeHints]) async throws -> [StripeReply<StripeSubscription>] {
        let stored = state.organizations[slug]?.values
        var customers = Set(Self.known([stored?.customer] + hints.map(\.customer)))
        var seen: [StripeReply<StripeSubscription>] = []
        for customer in customers.sorted() { seen += try await subscriptions(of: customer) }
        for id in Set(Self.known([stored?.subscription] + hints.map(\.subscription))).sorted() {
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
            // The stored or hinted customer is gone: then its subscription is looked for in the whole account.
        }
        return seen
    }

    /// The subscriptions that belong to the organization they were read for. An organization that has a subscription or a
    /// customer stored has the first claim, as in a reconciliation. A malformed subscription of no known organization stays
    /// with the organization that it was read for, whose state is unknown then.
    private func owned(
        _ seen: [String: [StripeReply<StripeSubscription>]]
    ) async throws -> [String: [StripeReply<StripeSubscription>]] {
        let unsure = seen.values.joined().map(\.value).filter { subscription in
            subscription.namedOrganization.map { self.state.organizations[$0] == nil } ?? true
        }
        let state = unsure.isEmpty ? self.state : try await stateWithOwners(unsure)
        return seen.reduce(into: [:]) { owned, seen in
            owned[seen.key] = seen.value.filter { reply in
                switch state.match(reply.value) {
                case .organization(let slug): slug == seen.key
                case .unmatched: !reply.value.malformed.isEmpty
                }
            }
        }
    }

    /// When the active subscription of an organization was created that counts as far as is known; `nil` without one. Only an
    /// active subscription that is not older could count instead.
    private func activeSince(_ slug: String, _ found: Found) -> Int64? {
        guard found.problems[slug] == nil, let stored = state.organizations[slug] else { return nil }
        let choice = try? found.subscriptions[slug]?.choice(found.plans, stored)
        return choice?.active?.created
    }

    private func searchNewest(_ found: inout Found) async throws {
        let active = found.subscriptions.keys.reduce(into: [String: Int64]()) { $0[$1] = activeSince($1, found) }
        guard let oldest = active.values.min() else { return }
        var seen: [String: [StripeReply<StripeSubscription>]] = [:]
        var pages = 0
        try await stripe.subscriptions { page in
            for reply in page.each {
                guard case .organization(let slug) = state.match(reply.value), active[slug] != nil else { continue }
                seen[slug, default: []].append(try await stripe.withAllItems(reply))
            }
            pages += 1
            return pages < Self.mostPagesOfNewest
                && page.value.allSatisfy { $0.created >= oldest || !$0.malformed.isEmpty }
        }
        for (slug, replies) in try await owned(seen) {
            for reply in replies { found.subscriptions.add(reply, to: slug) }
        }
        let subscriptions = found.subscriptions.values.flatMap { $0.replies.map(\.value) }
        if !found.plans.knowsPrices(of: subscriptions) {
            found.plans = try await PlanCatalog.read(stripe, for: subscriptions)
        }
    }
}
