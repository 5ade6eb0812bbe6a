import JobRuntime

/// A page of a list: `{"data": [...], "has_more": true}`. A page without one of the two is no page.
struct StripePage<Element: StripeObject>: StripePart {
    var data: [Element]
    var hasMore: Bool

    private enum CodingKeys: String, CodingKey {
        case data
        case hasMore = "has_more"
    }

    var malformed: [MalformedField] {
        data.enumerated().flatMap { index, element in element.malformed.map { $0.under("data[\(index)]") } }
    }
}

/// Another object, which comes as its id, or as the whole object where it was expanded.
enum StripeReference<Object: StripeObject>: StripePart {
    case id(String)
    case expanded(Object)

    init(from decoder: any Decoder) throws {
        if let id = try? decoder.singleValueContainer().decode(String.self) {
            self = .id(id)
        } else {
            self = .expanded(try Object(from: decoder))
        }
    }

    var id: String {
        switch self {
        case .id(let id): id
        case .expanded(let object): object.id
        }
    }

    var object: Object? { if case .expanded(let object) = self { object } else { nil } }
    var malformed: [MalformedField] { object?.malformed ?? [] }
}

/// The members of `metadata` that have a meaning here. Stripe's values are texts (fact ST-18); a number is read as its text.
struct StripeMetadata: StripePart {
    enum Key: String, CaseIterable {
        case orgSlug = "org_slug"
        case pendingOrgSlug = "pending_org_slug"
        case planID = "plan_id"
        case teamMembers, providers, pipelinesPerDay, concurrentPipelines
    }

    private var values: [Key: String] = [:]
    /// It has a member that STRIPE_IGNORE names.
    private(set) var isForeign = false
    private(set) var malformed: [MalformedField] = []

    init() {}

    init(from decoder: any Decoder) throws {
        var fields = StripeFields(decoder)
        if let ignore = decoder.userInfo[StripeIgnore.userInfoKey] as? StripeIgnore {
            isForeign = ignore.members.contains { fields.has($0.key, value: $0.value) }
        }
        for key in Key.allCases { values[key] = fields.textOrInteger(key.rawValue) }
        malformed = fields.malformed
    }

    /// Empty counts as absent, as in Stripe, where setting an empty value removes the member.
    subscript(key: Key) -> String? { values[key].flatMap { $0.isEmpty ? nil : $0 } }
}

extension StripeMetadata: CompactValue {
    /// The members that many objects have alike.
    private static let shared = Key.allCases.filter { $0 != .orgSlug && $0 != .pendingOrgSlug }

    func write(to bytes: inout CompactWriter) {
        bytes.write(values[.orgSlug])
        bytes.write(values[.pendingOrgSlug])
        bytes.share { bytes in
            for key in Self.shared { bytes.write(values[key]) }
            bytes.write(isForeign)
            bytes.write(malformed)
        }
    }

    init(_ bytes: inout CompactReader) {
        values[.orgSlug] = bytes.read()
        values[.pendingOrgSlug] = bytes.read()
        bytes.readShared { bytes in
            for key in Self.shared { values[key] = bytes.read() }
            isForeign = bytes.read()
            malformed = bytes.read()
        }
    }
}

/// A subscription, as far as these jobs need it. Three shapes are read: today's API (fact ST-12), the API before 2025-03-31, whose
/// subscriptions have the period themselves, and the API before prices, whose items have a `plan`.
struct StripeSubscription: StripeObject {
    var id: String
    var status: String
    var customer: String?
    /// The customer's own metadata; `nil` for a customer that was deleted (fact ST-20).
    var customerMetadata: StripeMetadata?
    var metadata: StripeMetadata
    /// Seconds since 1970, as in all of Stripe's instants (fact ST-24).
    var created: Int64
    var items: [StripeSubscriptionItem]
    var hasMoreItems: Bool
    var currentPeriodEnd: Int64?
    var trialEnd: Int64?
    var cancelAt: Int64?
    var endedAt: Int64?
    var cancelsAtPeriodEnd: Bool
    var isLive: Bool?
    private(set) var malformed: [MalformedField]

    init(from decoder: any Decoder) throws {
        var fields = StripeFields(decoder)
        id = fields.id()
        status = fields.text("status") ?? ""
        let owner = fields.part("customer", StripeReference<StripeCustomer>.self)
        customer = owner.flatMap { $0.id.isEmpty ? nil : $0.id }
        customerMetadata = owner?.object.flatMap { $0.isDeleted ? nil : $0.metadata }
        metadata = fields.part("metadata", StripeMetadata.self) ?? StripeMetadata()
        created = fields.integer("created") ?? 0
        let page = fields.part(
            "items", StripePage<StripeSubscriptionItem>.self, expected: "a list with data and has_more")
        items = page?.data ?? []
        hasMoreItems = page?.hasMore ?? false
        currentPeriodEnd = fields.integer("current_period_end")
        trialEnd = fields.integer("trial_end")
        cancelAt = fields.integer("cancel_at")
        endedAt = fields.integer("ended_at")
        cancelsAtPeriodEnd = fields.flag("cancel_at_period_end") ?? false
        isLive = fields.flag("livemode")
        malformed = fields.malformed
    }

    /// Takes the place of the first few items, which a list shows in the subscription itself.
    mutating func replaceItems(with all: [StripeSubscriptionItem]) {
        items = all
        hasMoreItems = false
        malformed += StripePage(data: all, hasMore: false).malformed.map { $0.under("items") }
    }

    /// Why the state of its organization is unknown, where a field of the subscription is malformed.
    var problem: BillingProblem? {
        malformed.isEmpty ? nil : BillingProblem("\(name): \(malformed.summary)")
    }

    /// As messages name it: `subscription sub_1`.
    var name: String { id.isEmpty ? "a subscription without an id" : "subscription \(printable(id))" }
}

extension StripeSubscription: CompactValue {
    func write(to bytes: inout CompactWriter) {
        bytes.write(id)
        bytes.share { bytes in
            bytes.write(status)
            bytes.write(hasMoreItems)
            bytes.write(cancelsAtPeriodEnd)
            bytes.write(isLive)
            bytes.write(malformed)
        }
        bytes.write(customer)
        bytes.write(customerMetadata)
        bytes.write(metadata)
        bytes.write(created)
        bytes.write(items)
        for instant in [currentPeriodEnd, trialEnd, cancelAt, endedAt] { bytes.write(instant) }
    }

    init(_ bytes: inout CompactReader) {
        id = bytes.read()
        (status, hasMoreItems, cancelsAtPeriodEnd, isLive, malformed) = bytes.readShared { bytes in
            (bytes.read(), bytes.read(), bytes.read(), bytes.read(), bytes.read())
        }
        customer = bytes.read()
        customerMetadata = bytes.read()
        metadata = bytes.read()
        created = bytes.read()
        items = bytes.read()
        currentPeriodEnd = bytes.read()
        trialEnd = bytes.read()
        cancelAt = bytes.read()
        endedAt = bytes.read()
    }
}

/// One line of a subscription: a price, or a `plan` in the older shape.
struct StripeSubscriptionItem: StripeObject {
    var id: String
    var product: String?
    var price: String?
    var currentPeriodEnd: Int64?
    private(set) var malformed: [MalformedField]

    init(from decoder: any Decoder) throws {
        var fields = StripeFields(decoder)
        id = fields.id()
        let known = fields.malformed.count
        var reference = fields.part("price", StripeReference<StripePrice>.self)
        if reference == nil, fields.malformed.count == known {
            reference = fields.part("plan", StripeReference<StripePrice>.self)
        }
        product = reference?.object?.product
        price = reference?.id
        currentPeriodEnd = fields.integer("current_period_end")
        malformed = fields.malformed
    }
}

extension StripeSubscriptionItem: CompactValue {
    func write(to bytes: inout CompactWriter) {
        bytes.write(id)
        bytes.share { bytes in
            bytes.write(product)
            bytes.write(price)
            bytes.write(malformed)
        }
        bytes.write(currentPeriodEnd)
    }

    init(_ bytes: inout CompactReader) {
        id = bytes.read()
        (product, price, malformed) = bytes.readShared { ($0.read(), $0.read(), $0.read()) }
        currentPeriodEnd = bytes.read()
    }

    /// The price came as its id, so that the price itself has to be read.
    var namesOnlyPrice: Bool { product == nil && price != nil }
}

/// A price, or a plan of the older shape: which product it is for.
struct StripePrice: StripeObject {
    /// A product of which only the id matters.
    private struct Product: StripeObject {
        var id: String
        var malformed: [MalformedField]

        init(from decoder: any Decoder) throws {
            var fields = StripeFields(decoder)
            id = fields.id()
            malformed = fields.malformed
        }
    }

    var id: String
    var product: String?
    var malformed: [MalformedField]

    init(from decoder: any Decoder) throws {
        var fields = StripeFields(decoder)
        id = fields.id()
        product = fields.part("product", StripeReference<Product>.self)?.id
        malformed = fields.malformed
    }
}

/// A product: its metadata says what the plan allows.
struct StripeProduct: StripeObject {
    var id: String
    var metadata: StripeMetadata
    var isLive: Bool?
    var malformed: [MalformedField]

    init(from decoder: any Decoder) throws {
        var fields = StripeFields(decoder)
        id = fields.id()
        metadata = fields.part("metadata", StripeMetadata.self) ?? StripeMetadata()
        isLive = fields.flag("livemode")
        malformed = fields.malformed
    }
}

/// The customer of a subscription, where it is expanded: its metadata may say which organization it is.
struct StripeCustomer: StripeObject {
    var id: String
    var metadata: StripeMetadata
    var isDeleted: Bool
    var malformed: [MalformedField]

    init(from decoder: any Decoder) throws {
        var fields = StripeFields(decoder)
        id = fields.id()
        metadata = fields.part("metadata", StripeMetadata.self) ?? StripeMetadata()
        isDeleted = fields.flag("deleted") ?? false
        malformed = fields.malformed
    }
}
