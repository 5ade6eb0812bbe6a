import JobRuntime

/// The products of the account, read once for all subscriptions, with which their items are joined.
struct PlanCatalog: Sendable {
    private let products: [String: StripeProduct]
    /// Of prices that came as an id only.
    private let productsOfPrices: [String: String]
    let time: ReadTime

    init(products: StripeReply<[StripeProduct]>, prices: StripeReply<[StripePrice]>? = nil) {
        self.products = Dictionary(products.value.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        productsOfPrices = Dictionary(
            (prices?.value ?? []).compactMap { price in price.product.map { (price.id, $0) } }, uniquingKeysWith: { $1 }
        )
        time = prices.map { products.time.joined($0.time) } ?? products.time
    }

    /// Prices are listed only where the subscriptions do not show them.
    static func read(_ stripe: StripeClient, for subscriptions: some Sequence<StripeSubscription>) async throws
        -> PlanCatalog
    {
        let products = try await stripe.products()
        let needsPrices = subscriptions.contains { $0.items.contains { $0.product == nil && $0.price != nil } }
        return PlanCatalog(products: products, prices: needsPrices ? try await stripe.prices() : nil)
    }

    /// The plan that the subscription is for, with the end of its period: that of the item that ends first, since a plan's
    /// product may have several items, such as a base price and a price for seats. A subscription may have other items, for
    /// products that are no plan; one whose only product is no plan is one whose metadata was forgotten.
    func plan(of subscription: StripeSubscription) throws(BillingProblem) -> (plan: Plan, periodEnd: Int64?) {
        var found: [(product: StripeProduct, ends: [Int64])] = []
        for item in subscription.items {
            let product = try product(of: item)
            let end = item.currentPeriodEnd.map { [$0] } ?? []
            if let known = found.firstIndex(where: { $0.product.id == product.id }) {
                found[known].ends += end
            } else {
                found.append((product, end))
            }
        }
        let plans = found.count == 1 ? found : found.filter { $0.product.metadata[.planID] != nil }
        guard let first = plans.first else {
            throw BillingProblem("subscription \(printable(subscription.id)) has no item that is a plan")
        }
        guard plans.count == 1 else {
            let names = plans.map { quoted($0.product.metadata[.planID] ?? "") }.joined(separator: " and ")
            throw BillingProblem("subscription \(printable(subscription.id)) has several plans: \(names)")
        }
        return (try Plan(first.product), first.ends.min() ?? subscription.currentPeriodEnd)
    }

    private func product(of item: StripeSubscriptionItem) throws(BillingProblem) -> StripeProduct {
        guard let id = item.product ?? item.price.flatMap({ productsOfPrices[$0] }) else {
            throw BillingProblem("item \(printable(item.id)) names no product")
        }
        guard let product = products[id] else {
            throw BillingProblem("product \(printable(id)) is not among the products of the account")
        }
        return product
    }
}
