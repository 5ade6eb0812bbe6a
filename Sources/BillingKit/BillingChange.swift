import JobRuntime
import Warehouse
import WarehouseKit

/// A write for one organization, and the condition under which it happens.
struct BillingChange: Sendable {
    /// One field in which Stripe and the warehouse differ.
    struct Difference: Hashable, Sendable {
        /// Such as `plan_name`, `profile.subscription_plan` or `quota.daily_limit`.
        var field: String
        var stripe: SQLValue
        var warehouse: SQLValue
    }

    var slug: String
    /// The row of `org_subscriptions`, with a new name where there is none yet.
    var row: String
    var isNew: Bool
    /// `stripe_read_at` of the row that the differences were found against.
    var version: Timestamp
    var time: ReadTime
    var values: BillingValues
    /// Empty where only the time of the reading is written.
    var differences: [Difference]
    /// Why the organization was read, for the audit.
    var reason: String
    var requestID: String?
    /// Set where the organization ends because its subscription belongs to another one now.
    var reassignment: Reassignment?

    /// Another organization has the subscription. It must be written first: otherwise nobody would have the service.
    struct Reassignment: Sendable {
        var owner: String
        /// As an operator reads it.
        var note: String
    }

    /// Names the version of the row that the change makes. A row has each version once, so no two changes share a name. The
    /// slug is part of it, since two organizations may have rows of the same name.
    var auditID: String { "billing-\(slug)-\(row)-\(time.until.microseconds)" }

    /// The clocks of two machines differ by less.
    private static let clockSkew = Duration.seconds(3600)

    /// - Returns: `nil` where the warehouse may hold something newer than `values`: then Stripe has to be read again.
    /// - Throws: Where another reading would not help: nothing is newer than a version of the future.
    init?(
        _ values: BillingValues, _ stored: StoredBilling, read time: ReadTime, reason: String, requestID: String? = nil
    ) throws(BillingProblem) {
        guard stored.version < time.until.adding(Self.clockSkew) else {
            throw BillingProblem(
                "stripe_read_at of its row is \(stored.version), which is in the future: nothing that is read now is newer; set it to NULL"
            )
        }
        guard stored.version < time.from else { return nil }
        slug = stored.slug
        isNew = stored.row == nil
        row = stored.row ?? "billing-\(stored.slug)"
        version = stored.version
        self.time = time
        self.values = values
        self.reason = reason
        self.requestID = requestID
        differences = Self.differences(values, stored)
    }

    /// How many rows beside the one that counts say that the organization has service. A write leaves none.
    static let otherLiveRows = "other_live_rows"

    /// The names of all fields that are compared, in the order in which they are reported.
    static let fields =
        BillingField.all.map(\.name) + [otherLiveRows, "profile.subscription_plan"]
        + BillingField.limits.map { "quota.\($0.name)" }

    private static func differences(_ values: BillingValues, _ stored: StoredBilling) -> [Difference] {
        var pairs = BillingField.all.map {
            Difference(field: $0.name, stripe: $0.value(values), warehouse: $0.value(stored.values))
        }
        if stored.otherLiveRows > 0 {
            let rows = SQLValue.int64(Int64(stored.otherLiveRows))
            pairs.append(Difference(field: otherLiveRows, stripe: .int64(0), warehouse: rows))
        }
        let plan = values.plan.map { SQLValue.string($0) } ?? .null(.string)
        switch stored.profilePlan {
        case .none: break
        case .one(let stored):
            let stored = stored.map { SQLValue.string($0) } ?? .null(.string)
            pairs.append(Difference(field: "profile.subscription_plan", stripe: plan, warehouse: stored))
        case .contradictory:
            pairs.append(Difference(field: "profile.subscription_plan", stripe: plan, warehouse: Self.contradiction))
        }
        if stored.quota != .none {
            var copy: BillingValues?
            if case .one(let limits) = stored.quota { copy = BillingValues(limits: limits) }
            pairs += BillingField.limits.map { field in
                Difference(
                    field: "quota.\(field.name)", stripe: field.value(values),
                    warehouse: copy.map(field.value) ?? Self.contradiction)
            }
        }
        return pairs.filter { $0.stripe != $0.warehouse && !($0.stripe.isAbsent && $0.warehouse.isAbsent) }
    }

    /// Stands for rows that disagree; it equals no value.
    private static let contradiction = SQLValue.string("?")

    /// The element of the statements' parameter `changes`; the same fields for every change.
    var parameter: SQLValue {
        let condition: [(String, SQLValue)] = [
            ("org_slug", .string(slug)), ("subscription_id", .string(row)), ("is_new", .bool(isNew)),
            ("differs", .bool(!differences.isEmpty)), ("version", .timestamp(version)),
            ("read_from", .timestamp(time.from)), ("read_until", .timestamp(time.until)),
        ]
        let state = BillingField.all.map { ($0.name, $0.value(values)) }
        let audit: [(String, SQLValue)] = [
            ("audit_id", .string(auditID)), ("details", .string(details.description)),
            ("request_id", requestID.map { .string($0) } ?? .null(.string)),
        ]
        return .structure((condition + state + audit).map { SQLValue.Field($0.0, $0.1) })
    }

    /// `{"reason": ..., "changes": [{"field", "from", "to"}]}` for `org_audit_logs.details`.
    private var details: JSONValue {
        let changes = differences.map { difference in
            JSONValue.object([
                ("field", .string(difference.field)), ("from", difference.warehouse.audited),
                ("to", difference.stripe.audited),
            ])
        }
        return .object([
            ("reason", .string(reason)), ("source", .string("stripe")),
            ("subscription", values.subscription.map { .string($0) } ?? .null), ("changes", .array(changes)),
        ])
    }
}

extension BillingChange {
    static let tableHeader = ["organization", "field", "stripe", "warehouse"]

    /// Each difference as a row of a table for people.
    var tableRows: [[String]] { differences.map { [slug, $0.field, $0.stripe.shown, $0.warehouse.shown] } }
}

extension SQLValue {
    fileprivate var isAbsent: Bool { isNull || self == .string("") }

    fileprivate var shown: String { isAbsent ? "-" : text }

    fileprivate var audited: JSONValue { isAbsent ? .null : .string(text) }

    /// The value of a billing field as people read it, in audits and tables; NULL as nothing.
    var text: String {
        switch self {
        case .string(let text): text
        case .int64(let number): String(number)
        case .date(let date): date.description
        case .timestamp(let instant): instant.secondsText
        case .bool(let flag): flag ? "true" : "false"
        default: ""
        }
    }
}

extension Timestamp {
    /// Without a fraction where it is zero, as all of Stripe's instants.
    fileprivate var secondsText: String {
        guard microseconds.isMultiple(of: 1_000_000) else { return description }
        return String(description.prefix { $0 != "." }) + "Z"
    }
}
