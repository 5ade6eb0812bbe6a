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
        try self.init([product])
    }

    /// - Parameter products: At least one. Several products with one plan_id are one plan; a limit may stand in any of them.
    init(_ products: [StripeProduct]) throws(BillingProblem) {
        name = try Self.name(products[0])
        daily = try Self.limit(.pipelinesPerDay, products)
        monthly = daily * Self.daysPerMonth
        concurrent = try Self.limit(.concurrentPipelines, products, default: Self.usualConcurrency)
        seats = try Self.limit(.teamMembers, products)
        providers = try Self.limit(.providers, products)
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
        _ key: StripeMetadata.Key, _ products: [StripeProduct], default fallback: Int64? = nil
    ) throws(BillingProblem) -> Int64 {
        var found: Int64?
        for product in products {
            guard let text = product.metadata[key] else { continue }
            // Int64(text) would also accept "+5" and "-0".
            guard text.utf8.allSatisfy({ 48...57 ~= $0 }), let number = Int64(text), number <= largestLimit else {
                throw BillingProblem(
                    "product \(printable(product.id)): metadata \(key.rawValue) \(quoted(text)) is not a whole number from 0 to \(largestLimit)"
                )
            }
            guard found == nil || found == number else {
                let names = products.map { printable($0.id) }.joined(separator: " and ")
                throw BillingProblem("products \(names) are one plan, and their metadata \(key.rawValue) disagree")
            }
            found = number
        }
        guard let number = found ?? fallback else { throw missing(key, products[0]) }
        return number
    }

    static func missing(_ key: StripeMetadata.Key, _ product: StripeProduct) -> BillingProblem {
        BillingProblem("product \(printable(product.id)) has no metadata \(key.rawValue)")
    }
}

/// What the items of a subscription say about its plan.
enum PlanReading: Hashable, Sendable {
    case plan(Plan, periodEnd: Int64?)
    /// All of its products can be read, and none of them is a plan: an add-on, support, or a plan whose metadata is gone.
    case noPlan(BillingProblem)
    /// It may be a plan; nobody can tell which.
    case unreadable(BillingProblem)

    var problem: BillingProblem? {
        switch self {
        case .plan: nil
        case .noPlan(let problem), .unreadable(let problem): problem
        }
    }
}

/// The products of the account, read once for all subscriptions and joined with their items.
struct PlanCatalog: Sendable {
    private let products: [String: StripeProduct]
    /// Needed for subscriptions that show a price only as its id.
    private let prices: [String: StripePrice]
    private let ignore: StripeIgnore
    let time: ReadTime

    init(
        products: StripeReply<[StripeProduct]>, prices: StripeReply<[StripePrice]>? = nil,
        ignore: StripeIgnore = StripeIgnore()
    ) {
        self.ignore = ignore
        self.products = Dictionary(products.value.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        self.prices = Dictionary((prices?.value ?? []).map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        time = prices.map { products.time.joined($0.time) } ?? products.time
    }

    /// Prices are listed only where the subscriptions do not show them.
    static func read(_ stripe: StripeClient, for subscriptions: some Sequence<StripeSubscription>) async throws
        -> PlanCatalog
    {
        let products = try await stripe.products()
        let needsPrices = subscriptions.contains { $0.items.contains(where: \.namesOnlyPrice) }
        return PlanCatalog(
            products: products, prices: needsPrices ? try await stripe.prices() : nil, ignore: stripe.ignore)
    }

    /// Whether each item leads to a product, as far as prices do that.
    func knowsPrices(of subscriptions: some Sequence<StripeSubscription>) -> Bool {
        subscriptions.allSatisfy { subscription in
            subscription.items.allSatisfy { !$0.namesOnlyPrice || prices[$0.price ?? ""] != nil }
        }
    }

    /// It is for another business of the account: STRIPE_IGNORE names a member of its metadata, or all of its products.
    func isForeign(_ subscription: StripeSubscription) -> Bool {
        subscription.isForeign(by: ignore) { price in prices[price]?.product }
    }

    private func isForeign(_ item: StripeSubscriptionItem) -> Bool {
        item.isForeign(by: ignore) { price in prices[price]?.product }
    }

    /// The plan of the subscription, with the end of its period.
    ///
    /// A plan's products may have several items, such as a base price and a price for seats: the item that ends first ends the
    /// period. A subscription may also have items for products that are no plan.
    func reading(of subscription: StripeSubscription) -> PlanReading {
        var found: [(product: StripeProduct, ends: [Int64])] = []
        do throws(BillingProblem) {
            for item in subscription.items where !isForeign(item) {
                let product = try product(of: item)
                let end = item.currentPeriodEnd.map { [$0] } ?? []
                if let known = found.firstIndex(where: { $0.product.id == product.id }) {
                    found[known].ends += end
                } else {
                    found.append((product, end))
                }
            }
            let plans = found.filter { $0.product.metadata[.planID] != nil }
            guard !plans.isEmpty else {
                let problem =
                    found.count == 1
                    ? Plan.missing(.planID, found[0].product)
                    : BillingProblem("\(subscription.name) has no item that is a plan")
                return found.isEmpty ? .unreadable(problem) : .noPlan(problem)
            }
            let names = Set(plans.map { ($0.product.metadata[.planID] ?? "").uppercased() })
            guard names.count == 1 else {
                let names = plans.map { quoted($0.product.metadata[.planID] ?? "") }.joined(separator: " and ")
                throw BillingProblem("\(subscription.name) has several plans: \(names)")
            }
            return .plan(
                try Plan(plans.map(\.product)), periodEnd: plans.flatMap(\.ends).min() ?? subscription.currentPeriodEnd)
        } catch {
            return .unreadable(error)
        }
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

    static let live: Set<String?> = ["ACTIVE", "TRIAL"]

    /// Whether it gives its organization service.
    var isLive: Bool { Self.live.contains(stored) }

    /// Nobody ever paid: https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses
    var isAttempt: Bool { self == .incomplete || self == .incompleteExpired }

    /// If an organization has several subscriptions, the lowest rank counts: the living before the dead, and before them what
    /// can come back.
    package var rank: Int {
        switch self {
        case .active: 0
        case .trialing: 1
        case .pastDue: 2
        case .unpaid, .paused: 3
        case .canceled: 4
        case .incomplete: 5
        case .incompleteExpired: 6
        }
    }
}
