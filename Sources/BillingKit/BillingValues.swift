import JobRuntime
import Warehouse
import WarehouseKit

/// The billing state of one organization: what its row of `org_subscriptions` has, or what it should have after Stripe.
struct BillingValues: Hashable, Sendable {
    var plan: String?
    var status: String?
    var limits = BillingLimits()
    var trialEnd: CivilDate?
    /// The day on which the subscription ended or will end.
    var end: CivilDate?
    var customer: String?
    var subscription: String?
    var currentPeriodEnd: Timestamp?
    var cancelsAtPeriodEnd: Bool?
}

/// The limits of a plan. Today's row of `org_usage_quotas` has a copy of them.
struct BillingLimits: Hashable, Sendable {
    var daily: Int64?
    var monthly: Int64?
    var concurrent: Int64?
    var seats: Int64?
    var providers: Int64?
}

extension BillingLimits: CompactValue {
    func write(to bytes: inout CompactWriter) {
        for limit in [daily, monthly, concurrent, seats, providers] { bytes.write(limit) }
    }

    init(_ bytes: inout CompactReader) {
        daily = bytes.read()
        monthly = bytes.read()
        concurrent = bytes.read()
        seats = bytes.read()
        providers = bytes.read()
    }
}

/// A field of the billing state: its column of `org_subscriptions`, the column's type, and where ``BillingValues`` keeps it.
///
/// The statements that read and write the state, their parameter, the comparison and the audit are made from ``all``. So a new
/// field is one line here, and one in the bytes of ``StoredBilling``; a test finds a field whose bytes are missing.
struct BillingField: Sendable {
    let name: String
    let type: SQLType
    /// The value for a statement; NULL where the state has none.
    let value: @Sendable (_ values: BillingValues) -> SQLValue
    /// Reads the field from a column, which may have another name than the field.
    let read: @Sendable (_ row: Row, _ column: String, _ values: inout BillingValues) throws -> Void

    /// In the order of the table.
    static let all: [BillingField] =
        [.text("plan_name", \.plan), .text("status", \.status)] + limits + [
            .date("trial_end_date", \.trialEnd), .date("subscription_end_date", \.end),
            .text("stripe_customer_id", \.customer), .text("stripe_subscription_id", \.subscription),
            .instant("current_period_end", \.currentPeriodEnd), .flag("cancel_at_period_end", \.cancelsAtPeriodEnd),
        ]

    /// `org_usage_quotas` has columns of the same names.
    static let limits: [BillingField] = [
        .integer("daily_limit", \.limits.daily), .integer("monthly_limit", \.limits.monthly),
        .integer("concurrent_limit", \.limits.concurrent), .integer("seat_limit", \.limits.seats),
        .integer("providers_limit", \.limits.providers),
    ]

    private typealias Property<Value> = WritableKeyPath<BillingValues, Value?> & Sendable

    private static func text(_ name: String, _ property: any Property<String>) -> BillingField {
        BillingField(name, .string, property, read: { try $0.optionalString($1) }, write: { .string($0) })
    }

    private static func integer(_ name: String, _ property: any Property<Int64>) -> BillingField {
        BillingField(name, .int64, property, read: { try $0.optionalInt64($1) }, write: { .int64($0) })
    }

    private static func date(_ name: String, _ property: any Property<CivilDate>) -> BillingField {
        BillingField(name, .date, property, read: { try $0.optionalDate($1) }, write: { .date($0) })
    }

    private static func instant(_ name: String, _ property: any Property<Timestamp>) -> BillingField {
        BillingField(name, .timestamp, property, read: { try $0.optionalTimestamp($1) }, write: { .timestamp($0) })
    }

    private static func flag(_ name: String, _ property: any Property<Bool>) -> BillingField {
        BillingField(name, .bool, property, read: { try $0.optionalBool($1) }, write: { .bool($0) })
    }

    private init<Value>(
        _ name: String, _ type: SQLType, _ property: any Property<Value>,
        read: @escaping @Sendable (_ row: Row, _ column: String) throws -> Value?,
        write: @escaping @Sendable (Value) -> SQLValue
    ) {
        self.name = name
        self.type = type
        value = { values in values[keyPath: property].map(write) ?? .null(type) }
        self.read = { row, column, values in values[keyPath: property] = try read(row, column) }
    }
}

extension [BillingField] {
    /// A list for SQL: each field's name in the given form, with commas or another separator between them.
    func sql(separator: String = ", ", _ form: (_ name: String) -> String) -> String {
        map { form($0.name) }.joined(separator: separator)
    }
}

extension BillingValues {
    /// The state that a subscription gives its organization.
    ///
    /// The end of service waits for nothing: a status that is not live is written even where the plan or a date cannot be read.
    /// Then the stored value stays, and `problem` says why.
    ///
    /// - Throws: Where a live subscription cannot be read, or one that is not live and has no stored values to keep.
    init(
        _ subscription: StripeSubscription, _ reading: PlanReading, keeping stored: StoredBilling, today: CivilDate,
        problem: inout BillingProblem?
    ) throws(BillingProblem) {
        let status = try SubscriptionStatus(of: subscription)
        problem = subscription.problem ?? reading.problem
        if let problem, status.isLive || stored.row == nil { throw problem }
        self = stored.values
        self.status = status.stored
        self.subscription = subscription.id
        customer = subscription.customer ?? (subscription.malformed.isEmpty ? nil : customer)
        cancelsAtPeriodEnd = subscription.cancelsAtPeriodEnd
        var periodEnd: Int64?
        if case .plan(let plan, let end) = reading {
            self.plan = plan.name
            limits = BillingLimits(
                daily: plan.daily, monthly: plan.monthly, concurrent: plan.concurrent, seats: plan.seats,
                providers: plan.providers)
            periodEnd = end
        }
        do throws(BillingProblem) {
            try readDates(subscription, periodEnd: periodEnd)
        } catch {
            if status.isLive || stored.row == nil { throw error }
            problem = problem ?? error
        }
        if problem != nil, self.status == SubscriptionStatus.cancelled { end = min(end ?? today, today) }
    }

    /// Reads each date, in this order, up to the first that is none. A malformed subscription keeps the dates that it lacks.
    private mutating func readDates(_ subscription: StripeSubscription, periodEnd: Int64?) throws(BillingProblem) {
        let isWhole = subscription.malformed.isEmpty
        let last = subscription.endedAt ?? subscription.cancelAt ?? (cancelsAtPeriodEnd == true ? periodEnd : nil)
        if isWhole || last != nil { end = try Self.instant(last, subscription)?.lastDay }
        if isWhole || periodEnd != nil { currentPeriodEnd = try Self.instant(periodEnd, subscription) }
        // The portal ends a subscription in flexible billing mode by cancel_at, and leaves cancel_at_period_end false:
        // https://docs.stripe.com/billing/subscriptions/billing-mode/compare
        if let cancelAt = subscription.cancelAt, cancelAt == periodEnd { cancelsAtPeriodEnd = true }
        if isWhole || subscription.trialEnd != nil {
            trialEnd = try Self.instant(subscription.trialEnd, subscription)?.lastDay
        }
    }

    /// Stripe's instants are seconds since 1970. An instant outside of the warehouse's calendar would fail the whole batch.
    private static func instant(
        _ seconds: Int64?, _ subscription: StripeSubscription
    ) throws(BillingProblem) -> Timestamp? {
        guard let seconds else { return nil }
        guard (0...253_402_300_799).contains(seconds) else {
            throw BillingProblem("\(subscription.name) has the instant \(seconds), which is no date")
        }
        return Timestamp(microseconds: seconds * 1_000_000)
    }
}

extension Timestamp {
    /// The last day of something that ends at this instant: the end of a day is midnight, which is the next day already.
    fileprivate var lastDay: CivilDate { adding(.microseconds(-1)).date }
}
