import Synchronization

/// What was queued, and at which revision of its organization in Stripe.
final class Ledger: Sendable {
    private let state = Mutex([String: (slug: String, revision: Int)]())
    private let seen = Mutex([String: Int]())

    /// The revisions that a whole reconciliation began with.
    var reconciled: [String: Int] { seen.withLock { $0 } }
    func note(reconciled revisions: [String: Int]) { seen.withLock { $0 = revisions } }

    var entries: [String: (slug: String, revision: Int)] { state.withLock { $0 } }

    func note(_ id: String, _ slug: String, _ fixture: BillingFixture) {
        let revision = fixture.stripe.now.revisions[slug] ?? 0
        state.withLock { $0[id] = (slug, revision) }
    }
}
