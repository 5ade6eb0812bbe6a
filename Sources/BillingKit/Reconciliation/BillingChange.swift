import JobRuntime
import Warehouse
import WarehouseKit

/// What has to be written for one organization, and on which condition.
struct BillingChange: Sendable {
    struct Difference: Hashable, Sendable {
        var field: BillingField
        var stripe: String
        var warehouse: String
    }

    var slug: String
    /// The row of `org_subscriptions`; made up where there is none yet.
    var row: String
    var isNew: Bool
    /// `stripe_read_at` of the row that the differences were found against.
    var version: Timestamp
    var time: ReadTime
    var values: BillingValues
    /// Empty where only the time of the reading is written.
    var differences: [Difference]
    /// Why it was looked at, for the audit.
    var reason: String
    var requestID: String?

    /// Names the version of the row that the change makes. A row has each version once, so two changes have never the same;
    /// two organizations may have rows of the same name.
    var auditID: String { "billing-\(slug)-\(row)-\(time.until.microseconds)" }

    /// Two machines' clocks differ by less.
    private static let clockSkew = Duration.seconds(3600)

    /// - Returns: `nil` where the warehouse may hold something newer than what was read: then it has to be read again.
    /// - Throws: Where reading again would not help: nothing is newer than a version of the future.
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
        isNew = stored.row.isEmpty
        row = isNew ? "billing-\(stored.slug)" : stored.row
        version = stored.version
        self.time = time
        self.values = values
        self.reason = reason
        self.requestID = requestID
        differences = Self.differences(values, stored)
    }

    private static func differences(_ values: BillingValues, _ stored: StoredBilling) -> [Difference] {
        zip(BillingField.allCases, stored.texts).compactMap { field, text in
            if field.isOfQuota && !stored.hasQuota || field == .profilePlan && !stored.hasProfile { return nil }
            let wanted = values.text(of: field)
            return wanted == text ? nil : Difference(field: field, stripe: wanted, warehouse: String(text))
        }
    }

    /// `{"reason": ..., "changes": [{"field", "from", "to"}]}` for `org_audit_logs.details`.
    var details: JSONText {
        let changes = differences.map { difference in
            JSONText.object([
                ("field", .string(difference.field.rawValue)), ("from", Self.json(difference.warehouse)),
                ("to", Self.json(difference.stripe)),
            ])
        }
        return .object([
            ("reason", .string(reason)), ("source", .string("stripe")),
            ("subscription", values.subscription.map { .string($0) } ?? .null), ("changes", .array(changes)),
        ])
    }

    private static func json(_ text: String) -> JSONText { text.isEmpty ? .null : .string(text) }
}

extension BillingChange {
    /// The element of the statements' parameter `changes`; the same fields for every change.
    var parameter: SQLValue {
        let optional = { (number: Int64?) -> SQLValue in number.map { .int64($0) } ?? .null(.int64) }
        let text = { (text: String?) -> SQLValue in text.map { .string($0) } ?? .null(.string) }
        let fields: [(String, SQLValue)] = [
            ("org_slug", .string(slug)), ("subscription_id", .string(row)), ("is_new", .bool(isNew)),
            ("differs", .bool(!differences.isEmpty)), ("version", .timestamp(version)),
            ("read_from", .timestamp(time.from)), ("read_until", .timestamp(time.until)),
            ("plan_name", .string(values.plan)), ("status", .string(values.status)),
            ("daily_limit", .int64(values.daily)), ("monthly_limit", .int64(values.monthly)),
            ("concurrent_limit", .int64(values.concurrent)), ("seat_limit", optional(values.seats)),
            ("providers_limit", optional(values.providers)),
            ("trial_end_date", values.trialEnd.map { .date($0) } ?? .null(.date)),
            ("subscription_end_date", values.end.map { .date($0) } ?? .null(.date)),
            ("stripe_customer_id", text(values.customer)), ("stripe_subscription_id", text(values.subscription)),
            ("current_period_end", values.currentPeriodEnd.map { .timestamp($0) } ?? .null(.timestamp)),
            ("cancel_at_period_end", values.cancelsAtPeriodEnd.map { .bool($0) } ?? .null(.bool)),
            ("audit_id", .string(auditID)), ("details", .string(details.description)), ("request_id", text(requestID)),
        ]
        return .structure(fields.map { SQLValue.Field($0.0, $0.1) })
    }
}
