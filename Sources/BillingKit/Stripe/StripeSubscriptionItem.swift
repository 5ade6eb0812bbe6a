/// One line of a subscription: a price, or a `plan` in the older shape.
struct StripeSubscriptionItem: StripeObject {
    var id: String
    var product: String?
    /// Where the price came as an id only.
    var price: String?
    var currentPeriodEnd: Int64?

    private enum CodingKeys: String, CodingKey {
        case id, price, plan
        case currentPeriodEnd = "current_period_end"
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        id = try container.decode(String.self, forKey: .id)
        let shown =
            (try? container.decode(StripePrice.self, forKey: .price))
            ?? (try? container.decode(StripePrice.self, forKey: .plan))
        product = shown?.product
        price = shown?.id ?? (try? container.decode(String.self, forKey: .price))
        currentPeriodEnd = try? container.decode(Int64.self, forKey: .currentPeriodEnd)
    }
}
