/// What is compared between Stripe and the warehouse, in the order in which the warehouse's row has it.
package enum BillingField: String, Sendable, CaseIterable {
    case planName = "plan_name"
    case status
    case dailyLimit = "daily_limit"
    case monthlyLimit = "monthly_limit"
    case concurrentLimit = "concurrent_limit"
    case seatLimit = "seat_limit"
    case providersLimit = "providers_limit"
    case trialEndDate = "trial_end_date"
    case subscriptionEndDate = "subscription_end_date"
    case customer = "stripe_customer_id"
    case subscription = "stripe_subscription_id"
    /// As microseconds since 1970.
    case currentPeriodEnd = "current_period_end"
    /// As 0 or 1.
    case cancelAtPeriodEnd = "cancel_at_period_end"
    case profilePlan = "profile.subscription_plan"
    case quotaDailyLimit = "quota.daily_limit"
    case quotaMonthlyLimit = "quota.monthly_limit"
    case quotaConcurrentLimit = "quota.concurrent_limit"
    case quotaSeatLimit = "quota.seat_limit"
    case quotaProvidersLimit = "quota.providers_limit"

    var isOfQuota: Bool { rawValue.hasPrefix("quota.") }
}
