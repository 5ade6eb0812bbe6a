import JobRuntime

/// Why the billing state of one organization is unknown. Nothing is guessed, and the other organizations go on.
package struct BillingProblem: Error, Hashable, Sendable, CustomStringConvertible {
    package var description: String
    /// Another try cannot help before somebody has corrected something.
    package var isPermanent: Bool

    package init(_ description: String, isPermanent: Bool = false) {
        self.description = description
        self.isPermanent = isPermanent
    }
}

/// The limits that a product allows, from its metadata.
package struct Plan: Hashable, Sendable {
    package var name: String
    package var daily: Int64
    package var monthly: Int64
    package var concurrent: Int64
    package var seats: Int64
    package var providers: Int64

    static let daysPerMonth: Int64 = 30
    static let usualConcurrency: Int64 = 2
    /// Far above every real limit, and 30 times it is still a number that every reader can hold.
    static let largestLimit: Int64 = 1_000_000_000

    init(_ product: StripeProduct) throws(BillingProblem) {
        name = try Self.name(product)
        daily = try Self.limit(.pipelinesPerDay, product)
        monthly = daily * Self.daysPerMonth
        concurrent = try Self.limit(.concurrentPipelines, product, default: Self.usualConcurrency)
        seats = try Self.limit(.teamMembers, product)
        providers = try Self.limit(.providers, product)
    }

    private static func name(_ product: StripeProduct) throws(BillingProblem) -> String {
        guard let id = product.metadata[.planID] else { throw missing(.planID, product) }
        let isName = id.utf8.count <= 64 && id.utf8.allSatisfy { $0.isWordCharacter || $0 == UInt8(ascii: "-") }
        guard isName else {
            throw BillingProblem(
                "product \(printable(product.id)): metadata plan_id \(quoted(id)) is not 1 to 64 letters, digits, _ and -"
            )
        }
        return id.uppercased()
    }

    private static func limit(
        _ key: StripeMetadata.Key, _ product: StripeProduct, default fallback: Int64? = nil
    ) throws(BillingProblem) -> Int64 {
        guard let text = product.metadata[key] else {
            if let fallback { return fallback }
            throw missing(key, product)
        }
        // Int64(text) would also accept "+5" and "-0".
        guard text.utf8.allSatisfy({ 48...57 ~= $0 }), let number = Int64(text), number <= largestLimit else {
            throw BillingProblem(
                "product \(printable(product.id)): metadata \(key.rawValue) \(quoted(text)) is not a whole number from 0 to \(largestLimit)"
            )
        }
        return number
    }

    private static func missing(_ key: StripeMetadata.Key, _ product: StripeProduct) -> BillingProblem {
        BillingProblem("product \(printable(product.id)) has no metadata \(key.rawValue)")
    }
}

/// The products of the account, read once for all subscriptions and joined with their items.
struct PlanCatalog: Sendable {
    private let products: [String: StripeProduct]
    /// Needed for subscriptions that show a price only as its id.
    private let prices: [String: StripePrice]
    let time: ReadTime

    init(products: StripeReply<[StripeProduct]>, prices: StripeReply<[StripePrice]>? = nil) {
        self.products = Dictionary(products.value.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        self.prices = Dictionary((prices?.value ?? []).map { ($0.id, $0) }, uniquingKeysWith: { $1 })
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

    /// The plan of the subscription, with the end of its period.
    ///
    /// A plan's product may have several items, such as a base price and a price for seats: the item that ends first ends the
    /// period. A subscription may also have items for products that are no plan. If its only product is no plan, somebody
    /// forgot that product's metadata.
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
            throw BillingProblem("\(subscription.name) has no item that is a plan")
        }
        guard plans.count == 1 else {
            let names = plans.map { quoted($0.product.metadata[.planID] ?? "") }.joined(separator: " and ")
            throw BillingProblem("\(subscription.name) has several plans: \(names)")
        }
        return (try Plan(first.product), first.ends.min() ?? subscription.currentPeriodEnd)
    }

    private func product(of item: StripeSubscriptionItem) throws(BillingProblem) -> StripeProduct {
        let price = item.price.flatMap { prices[$0] }
        if let price, item.product == nil, !price.malformed.isEmpty {
            throw BillingProblem("price \(printable(price.id)): \(price.malformed.summary)")
        }
        guard let id = item.product ?? price?.product else {
            throw BillingProblem("item \(printable(item.id)) names no product")
        }
        guard let product = products[id] else {
            throw BillingProblem("product \(printable(id)) is not among the products of the account")
        }
        guard product.malformed.isEmpty else {
            throw BillingProblem("product \(printable(id)): \(product.malformed.summary)")
        }
        return product
    }
}

/// A status of a Stripe subscription: https://docs.stripe.com/api/subscriptions/object#subscription_object-status
package enum SubscriptionStatus: String, Sendable, CaseIterable {
    case active, trialing
    case pastDue = "past_due"
    case unpaid, paused, incomplete, canceled
    case incompleteExpired = "incomplete_expired"

    init(of subscription: StripeSubscription) throws(BillingProblem) {
        guard let status = SubscriptionStatus(rawValue: subscription.status) else {
            throw BillingProblem("\(subscription.name) has the unknown status \(quoted(subscription.status))")
        }
        self = status
    }

    /// Its value in `org_subscriptions.status`.
    package var stored: String {
        switch self {
        case .trialing: "TRIAL"
        case .active: "ACTIVE"
        case .pastDue, .unpaid, .paused, .incomplete: "SUSPENDED"
        case .canceled, .incompleteExpired: Self.cancelled
        }
    }

    static let cancelled = "CANCELLED"

    /// If an organization has several subscriptions, the lowest rank counts.
    package var rank: Int {
        switch self {
        case .active: 0
        case .trialing: 1
        case .pastDue: 2
        default: 3
        }
    }
}
