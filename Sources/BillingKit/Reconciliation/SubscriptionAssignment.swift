/// Gives each subscription of a listing to its organization.
struct SubscriptionAssignment: Sendable {
    private(set) var found: [String: OrganizationSubscriptions] = [:]
    /// Those whose organization cannot be told, with the reason.
    private(set) var unmatched: [(subscription: String, reason: String)] = []

    init(_ replies: [StripeReply<StripeSubscription>], _ state: BillingState) {
        for reply in replies {
            switch state.match(reply.value) {
            case .organization(let slug): found.add(reply, to: slug)
            case .unmatched(let reason): unmatched.append((reply.value.id, reason))
            }
        }
    }
}
