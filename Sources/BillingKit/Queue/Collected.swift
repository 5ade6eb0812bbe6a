import Synchronization

/// What several look-ups found at the same time, by organization.
final class Collected: Sendable {
    private let state = Mutex(
        (replies: [String: [StripeReply<StripeSubscription>]](), problems: [String: BillingProblem]()))

    var replies: [String: [StripeReply<StripeSubscription>]] { state.withLock { $0.replies } }
    /// Why some look-ups failed.
    var problems: [String: BillingProblem] { state.withLock { $0.problems } }

    func add(_ replies: [StripeReply<StripeSubscription>], to slug: String) {
        state.withLock { $0.replies[slug, default: []] += replies }
    }

    func fail(_ slug: String, _ problem: BillingProblem) { state.withLock { $0.problems[slug] = problem } }
}
