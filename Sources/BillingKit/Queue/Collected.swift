import Synchronization

/// What several look-ups found at the same time.
final class Collected: Sendable {
    private let state = Mutex([String: OrganizationSubscriptions]())

    subscript(slug: String) -> OrganizationSubscriptions? { state.withLock { $0[slug] } }
    var all: [String: OrganizationSubscriptions] { state.withLock { $0 } }

    func add(_ slug: String, _ reply: StripeReply<StripeSubscription>) {
        state.withLock { state in
            if state[slug] == nil { state[slug] = OrganizationSubscriptions(reply) } else { state[slug]?.add(reply) }
        }
    }

    /// Why some of them failed.
    final class Problems: Sendable {
        private let state = Mutex([String: BillingProblem]())

        subscript(slug: String) -> BillingProblem? { state.withLock { $0[slug] } }
        var all: [String: BillingProblem] { state.withLock { $0 } }

        func set(_ slug: String, _ problem: BillingProblem) { state.withLock { $0[slug] = problem } }
    }
}
