import JobRuntime

/// A status of a Stripe subscription: https://docs.stripe.com/api/subscriptions/object#subscription_object-status
package enum SubscriptionStatus: String, Sendable, CaseIterable {
    case active, trialing
    case pastDue = "past_due"
    case unpaid, paused, incomplete, canceled
    case incompleteExpired = "incomplete_expired"

    init(of subscription: StripeSubscription) throws(BillingProblem) {
        guard let status = SubscriptionStatus(rawValue: subscription.status) else {
            throw BillingProblem(
                "subscription \(printable(subscription.id)) has the unknown status \(quoted(subscription.status))")
        }
        self = status
    }

    /// What `org_subscriptions.status` says of it.
    package var stored: String {
        switch self {
        case .trialing: "TRIAL"
        case .active: "ACTIVE"
        case .pastDue, .unpaid, .paused, .incomplete: "SUSPENDED"
        case .canceled, .incompleteExpired: Self.cancelled
        }
    }

    static let cancelled = "CANCELLED"

    /// Of several subscriptions of an organization the one with the lowest rank counts.
    package var rank: Int {
        switch self {
        case .active: 0
        case .trialing: 1
        case .pastDue: 2
        default: 3
        }
    }
}
