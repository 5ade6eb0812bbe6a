import JobRuntime

/// What of a subscription matters here, in the shapes of today's API and of those before 2025-03-31, whose subscriptions have
/// the period themselves, and before prices, whose items have a `plan`.
struct StripeSubscription: StripeObject {
    var id: String
    var status: String
    var customer: String?
    /// The customer's own metadata; `nil` for one that was deleted.
    var customerMetadata: StripeMetadata?
    var metadata: StripeMetadata
    var created: Int64
    var items: [StripeSubscriptionItem]
    var hasMoreItems: Bool
    var currentPeriodEnd: Int64?
    var trialEnd: Int64?
    var cancelAt: Int64?
    var endedAt: Int64?
    var cancelsAtPeriodEnd: Bool

    private enum CodingKeys: String, CodingKey {
        case id, status, customer, metadata, created, items
        case currentPeriodEnd = "current_period_end"
        case trialEnd = "trial_end"
        case cancelAt = "cancel_at"
        case endedAt = "ended_at"
        case cancelsAtPeriodEnd = "cancel_at_period_end"
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        id = try container.decode(String.self, forKey: .id)
        status = (try? container.decode(String.self, forKey: .status)) ?? ""
        let shown = try? container.decode(StripeCustomer.self, forKey: .customer)
        customer = shown?.id ?? (try? container.decode(String.self, forKey: .customer))
        customerMetadata = shown.flatMap { $0.isDeleted ? nil : $0.metadata }
        metadata = (try? container.decode(StripeMetadata.self, forKey: .metadata)) ?? StripeMetadata()
        created = (try? container.decode(Int64.self, forKey: .created)) ?? 0
        let page = try? container.decode(StripePage<StripeSubscriptionItem>.self, forKey: .items)
        items = page?.data ?? []
        hasMoreItems = page?.hasMore ?? false
        currentPeriodEnd = try? container.decode(Int64.self, forKey: .currentPeriodEnd)
        trialEnd = try? container.decode(Int64.self, forKey: .trialEnd)
        cancelAt = try? container.decode(Int64.self, forKey: .cancelAt)
        endedAt = try? container.decode(Int64.self, forKey: .endedAt)
        cancelsAtPeriodEnd = (try? container.decode(Bool.self, forKey: .cancelsAtPeriodEnd)) ?? false
    }
}
