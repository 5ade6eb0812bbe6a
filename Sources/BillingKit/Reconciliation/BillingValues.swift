import JobRuntime

/// The billing state of an organization as it should be.
struct BillingValues: Hashable, Sendable {
    var plan: String
    var status: String
    var daily: Int64
    var monthly: Int64
    var concurrent: Int64
    var seats: Int64?
    var providers: Int64?
    var trialEnd: CivilDate?
    /// The day on which it ended or will end.
    var end: CivilDate?
    var customer: String?
    var subscription: String?
    var currentPeriodEnd: Timestamp?
    var cancelsAtPeriodEnd: Bool?

    /// The value of a field as the warehouse's row has it; NULL is the empty text.
    func text(of field: BillingField) -> String {
        switch field {
        case .planName, .profilePlan: plan
        case .status: status
        case .dailyLimit, .quotaDailyLimit: String(daily)
        case .monthlyLimit, .quotaMonthlyLimit: String(monthly)
        case .concurrentLimit, .quotaConcurrentLimit: String(concurrent)
        case .seatLimit, .quotaSeatLimit: seats.map { String($0) } ?? ""
        case .providersLimit, .quotaProvidersLimit: providers.map { String($0) } ?? ""
        case .trialEndDate: trialEnd?.description ?? ""
        case .subscriptionEndDate: end?.description ?? ""
        case .customer: customer ?? ""
        case .subscription: subscription ?? ""
        case .currentPeriodEnd: currentPeriodEnd.map { String($0.microseconds) } ?? ""
        case .cancelAtPeriodEnd: cancelsAtPeriodEnd.map { $0 ? "1" : "0" } ?? ""
        }
    }
}

extension BillingValues {
    /// What a subscription means for its organization.
    init(_ subscription: StripeSubscription, _ plans: PlanCatalog) throws(BillingProblem) {
        let status = try SubscriptionStatus(of: subscription)
        let (plan, end) = try plans.plan(of: subscription)
        let periodEnd = try Self.instant(end, subscription)
        let atPeriodEnd = subscription.cancelsAtPeriodEnd ? periodEnd : nil
        let lastDay = try Self.instant(subscription.endedAt ?? subscription.cancelAt, subscription) ?? atPeriodEnd
        self.init(
            plan: plan.name, status: status.stored, daily: plan.daily, monthly: plan.monthly,
            concurrent: plan.concurrent, seats: plan.seats, providers: plan.providers,
            trialEnd: try Self.instant(subscription.trialEnd, subscription)?.date, end: lastDay?.date,
            customer: subscription.customer, subscription: subscription.id, currentPeriodEnd: periodEnd,
            cancelsAtPeriodEnd: subscription.cancelsAtPeriodEnd)
    }

    /// Stripe's instants are seconds since 1970; one that no calendar day of the warehouse has would fail the whole batch.
    private static func instant(
        _ seconds: Int64?, _ subscription: StripeSubscription
    ) throws(BillingProblem) -> Timestamp? {
        guard let seconds else { return nil }
        guard (0...253_402_300_799).contains(seconds) else {
            throw BillingProblem(
                "subscription \(printable(subscription.id)) has the instant \(seconds), which is no date")
        }
        return Timestamp(microseconds: seconds * 1_000_000)
    }
}
