import JobRuntime
import Synchronization

/// Finds the subscriptions of a few organizations in Stripe, as they are now, where they are known to be.
///
/// The stored ids and the payloads lead to customers, and all subscriptions of those customers are read. If one of them is
/// active, only a newer active one could count instead: the newest subscriptions of the account are searched for it. An
/// organization without an active subscription needs the listing of the whole account, which is not read here.
///
/// So if an organization has two active subscriptions with two customers, the newer one is found if its customer is stored or in
/// the payload, or if it is among the thousand newest of the account; otherwise the next reconciliation finds it.
struct OrganizationLookup: Sendable {
    struct Found: Sendable {
        var subscriptions: [String: OrganizationSubscriptions] = [:]
        /// Why the look-up of some organizations failed.
        var problems: [String: BillingProblem] = [:]
    }

    let stripe: StripeClient
    let state: BillingState
    /// Reads the state again, with every organization that has one of these customers or subscriptions stored.
    let stateWithOwners: @Sendable (_ customers: Set<String>, _ subscriptions: Set<String>) async throws -> BillingState
    private static let atOnce = 8
    private static let mostPagesOfNewest = 10

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
        var found = Found()
        var candidates: [String: [StripeReply<StripeSubscription>]] = [:]
        for (slug, result) in results.withLock({ $0 }) {
            switch result {
            case .success(let replies): candidates[slug] = replies
            case .failure(let error): found.problems[slug] = BillingProblem(error.description)
            }
        }
        for (slug, replies) in try await owned(candidates) {
            for reply in replies { found.subscriptions.add(reply, to: slug) }
        }
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
        let unnamed = seen.values.joined().map(\.value).filter { !$0.namesOrganization }
        let state =
            unnamed.isEmpty
            ? state : try await stateWithOwners(Set(unnamed.compactMap(\.customer)), Set(unnamed.map(\.id)))
        return seen.reduce(into: [:]) { owned, seen in
            owned[seen.key] = seen.value.filter { reply in
                switch state.match(reply.value) {
                case .organization(let slug): slug == seen.key
                case .unmatched: !reply.value.malformed.isEmpty
                }
            }
        }
    }

    private func searchNewest(_ found: inout Found) async throws {
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
                return pages < Self.mostPagesOfNewest
                    && page.value.allSatisfy { $0.created >= oldest || !$0.malformed.isEmpty }
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
