import JobRuntime

/// Gives each subscription of a listing to its organization.
struct SubscriptionAssignment: Sendable {
    struct Outcome: Sendable {
        var found: [String: OrganizationSubscriptions] = [:]
        /// Those whose organization cannot be told, with the reason.
        var unmatched: [(subscription: String, reason: String)] = []
    }

    private let stripe: StripeClient
    private let state: BillingState

    init(_ stripe: StripeClient, _ state: BillingState) {
        self.stripe = stripe
        self.state = state
    }

    /// Reads a customer only where nothing else tells, and each of them once.
    func assign(_ replies: [StripeReply<StripeSubscription>]) async throws -> Outcome {
        var outcome = Outcome()
        var customers: [String: OrganizationMatch] = [:]
        for reply in replies {
            var match = state.match(reply.value)
            if case .customer(let id) = match {
                if customers[id] == nil { customers[id] = try await self.match(customer: id) }
                match = customers[id] ?? match
            }
            switch match {
            case .organization(let slug):
                if outcome.found[slug] == nil {
                    outcome.found[slug] = OrganizationSubscriptions(reply)
                } else {
                    outcome.found[slug]?.add(reply)
                }
            case .unmatched(let reason): outcome.unmatched.append((reply.value.id, reason))
            case .customer: break
            }
        }
        return outcome
    }

    private func match(customer id: String) async throws -> OrganizationMatch {
        do {
            return state.match(try await stripe.customer(id))
        } catch let error as StripeError where !error.endsRun {
            return .unmatched(error.description)
        }
    }
}
