import JobRuntime
import Warehouse

/// The billing state of one organization as the warehouse has it.
struct StoredBilling: Sendable {
    /// A copy of a part of the state, in another table.
    enum Copy<Value: Hashable & Sendable>: Hashable, Sendable {
        case none
        case one(Value)
        /// The table has several rows for the organization, and they disagree. That equals nothing.
        case contradictory
    }

    let slug: String
    /// The `subscription_id` of the row that counts in `org_subscriptions`; `nil` where there is none.
    let row: String?
    /// `stripe_read_at` of that row: when the state was read from Stripe that the row was written for. 1970 if it never was.
    let version: Timestamp
    /// How many rows the organization has in `org_subscriptions`.
    let rows: Int
    /// How many rows beside the one that counts say that the organization has service.
    let otherLiveRows: Int
    /// Empty where there is no row.
    let values: BillingValues
    /// The limits in today's row of `org_usage_quotas`.
    let quota: Copy<BillingLimits>
    /// `org_profiles.subscription_plan`.
    let profilePlan: Copy<String?>
    /// Some execution of the queue's job is at work on the organization.
    let isInProgress: Bool

    static let never = Timestamp(microseconds: 0)

    init(_ result: Row) throws {
        slug = try result.string("org_slug")
        row = try result.optionalString("subscription_id")
        version = try result.optionalTimestamp("stripe_read_at") ?? Self.never
        rows = Int(try result.optionalInt64("row_count") ?? 0)
        var values = BillingValues()
        for field in BillingField.all { try field.read(result, field.name, &values) }
        self.values = values
        let counted = SubscriptionStatus.live.contains(values.status) ? 1 : 0
        otherLiveRows = max(0, Int(try result.optionalInt64("live_rows") ?? 0) - counted)
        quota = try Self.copy(result, "quota") {
            var copy = BillingValues()
            for field in BillingField.limits { try field.read(result, "quota_\(field.name)", &copy) }
            return copy.limits
        }
        profilePlan = try Self.copy(result, "profile") { try result.optionalString("profile_plan") }
        isInProgress = try result.bool("is_in_progress")
    }

    /// It has service without a subscription in Stripe that is known: by a contract, or as a gift.
    var isContract: Bool { values.status == "ACTIVE" && (values.subscription ?? "").isEmpty }

    var isCancelled: Bool { values.status == SubscriptionStatus.cancelled }
    var isLive: Bool { SubscriptionStatus.live.contains(values.status) }

    /// It says that it has service, and no subscription is stored for it.
    var isLiveWithoutSubscription: Bool { isLive && (values.subscription ?? "").isEmpty }

    private static func copy<Value>(_ result: Row, _ table: String, _ read: () throws -> Value) throws -> Copy<Value> {
        switch try result.optionalInt64("\(table)_variants") ?? 0 {
        case 0: .none
        case 1: .one(try read())
        default: .contradictory
        }
    }
}

extension StoredBilling.Copy: CompactValue where Value: CompactValue {
    func write(to bytes: inout CompactWriter) {
        switch self {
        case .none: bytes.write(Int64(0))
        case .one(let value):
            bytes.write(Int64(1))
            bytes.write(value)
        case .contradictory: bytes.write(Int64(2))
        }
    }

    init(_ bytes: inout CompactReader) {
        switch bytes.read() as Int64 {
        case 0: self = .none
        case 1: self = .one(bytes.read())
        default: self = .contradictory
        }
    }
}

extension StoredBilling: CompactValue {
    /// What an organization is found by. Its bytes are the first bytes of a ``StoredBilling``.
    struct Keys: CompactValue {
        let slug: String
        let subscription: String?
        let customer: String?

        init(_ stored: StoredBilling) {
            (slug, subscription, customer) = (stored.slug, stored.values.subscription, stored.values.customer)
        }

        func write(to bytes: inout CompactWriter) {
            bytes.write(slug)
            bytes.write(subscription)
            bytes.write(customer)
        }

        init(_ bytes: inout CompactReader) {
            slug = bytes.read()
            subscription = bytes.read()
            customer = bytes.read()
        }
    }

    func write(to bytes: inout CompactWriter) {
        bytes.write(Keys(self))
        bytes.write(row)
        bytes.write(version)
        bytes.share { bytes in
            bytes.write(Int64(rows))
            bytes.write(Int64(otherLiveRows))
            bytes.write(values.plan)
            bytes.write(values.status)
            bytes.write(values.limits)
            bytes.write(values.cancelsAtPeriodEnd)
            bytes.write(quota)
            bytes.write(profilePlan)
            bytes.write(isInProgress)
        }
        bytes.write(values.trialEnd)
        bytes.write(values.end)
        bytes.write(values.currentPeriodEnd)
    }

    init(_ bytes: inout CompactReader) {
        let keys: Keys = bytes.read()
        slug = keys.slug
        row = bytes.read()
        version = bytes.read()
        var values = BillingValues()
        (values.subscription, values.customer) = (keys.subscription, keys.customer)
        (rows, otherLiveRows, quota, profilePlan, isInProgress) = bytes.readShared { bytes in
            let (rows, otherLiveRows): (Int64, Int64) = (bytes.read(), bytes.read())
            values.plan = bytes.read()
            values.status = bytes.read()
            values.limits = bytes.read()
            values.cancelsAtPeriodEnd = bytes.read()
            return (Int(rows), Int(otherLiveRows), bytes.read(), bytes.read(), bytes.read())
        }
        values.trialEnd = bytes.read()
        values.end = bytes.read()
        values.currentPeriodEnd = bytes.read()
        self.values = values
    }
}
