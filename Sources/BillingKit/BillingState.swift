import JobRuntime
import Warehouse
import WarehouseKit

/// The tables that hold the billing state of organizations.
enum BillingTables {
    static let subscriptions = TableReference(DatasetID.organizations, "org_subscriptions")!
    static let quotas = TableReference(DatasetID.organizations, "org_usage_quotas")!
    static let audits = TableReference(DatasetID.organizations, "org_audit_logs")!
    static let profiles = OrganizationDirectory.profiles
    static let queue = TableReference(DatasetID.schedulerJobs, "billing_sync_queue")!
}

/// The billing state of one organization as the warehouse has it. A class, since a table of ten thousand large values costs
/// twice their size whenever it grows.
final class StoredBilling: Sendable {
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

/// The organizations of the warehouse with their billing state, at one instant.
struct BillingState: Sendable {
    private(set) var organizations: [String: StoredBilling] = [:]
    /// The organizations by the subscription and the customer that they have stored.
    private(set) var bySubscription: [String: [String]] = [:]
    private(set) var byCustomer: [String: [String]] = [:]

    /// A page of this size takes about 5 MB while it is read.
    private static let rowsPerPage = 1000

    init(_ rows: [Row] = []) throws {
        for row in rows { add(try StoredBilling(row)) }
    }

    private mutating func add(_ stored: StoredBilling) {
        organizations[stored.slug] = stored
        let (subscription, customer) = (stored.values.subscription ?? "", stored.values.customer ?? "")
        if !subscription.isEmpty { bySubscription[subscription, default: []].append(stored.slug) }
        if !customer.isEmpty { byCustomer[customer, default: []].append(stored.slug) }
    }

    /// All organizations, with today's limits.
    static func read(_ warehouse: MeteredWarehouse, today: CivilDate) async throws -> BillingState {
        try await read(warehouse, Statement("read the billing state", allSQL, parameters: ["today": .date(today)]))
    }

    /// The organizations with these slugs, and every organization that has one of these customers or subscriptions stored.
    static func read(
        _ warehouse: MeteredWarehouse, today: CivilDate, slugs: [String], customers: [String] = [],
        subscriptions: [String] = []
    ) async throws -> BillingState {
        try await read(
            warehouse,
            Statement(
                "read the billing state of \(slugs.count) organizations", someSQL,
                parameters: [
                    "today": .date(today), "slugs": .strings(slugs), "customers": .strings(customers),
                    "subscriptions": .strings(subscriptions),
                ]))
    }

    private static func read(_ warehouse: MeteredWarehouse, _ statement: Statement) async throws -> BillingState {
        var statement = statement
        statement.rowsPerPage = rowsPerPage
        var state = try BillingState()
        try await warehouse.query(statement) { rows in
            for row in rows { state.add(try StoredBilling(row)) }
        }
        return state
    }
}

extension BillingState {
    /// If an organization has several rows, a live one counts, then the newest, as for its quotas. If none is live, the row
    /// counts that was written last: then a row that is written counts in the next run too, whatever its status became.
    ///
    /// Profiles and quotas are counted by their different values: more than one is a contradiction.
    static let allSQL = """
        SELECT
          o.org_slug AS org_slug, s.subscription_id AS subscription_id, s.stripe_read_at AS stripe_read_at,
          s.row_count AS row_count, l.live_rows AS live_rows, \(BillingField.all.sql { "s.\($0) AS \($0)" }),
          p.variants AS profile_variants, p.plan AS profile_plan,
          q.variants AS quota_variants, \(BillingField.limits.sql { "q.\($0) AS quota_\($0)" }),
          w.org_slug IS NOT NULL AS is_in_progress
        FROM (
          SELECT DISTINCT org_slug FROM (
            SELECT org_slug FROM \(BillingTables.profiles.sql)
            UNION ALL
            SELECT org_slug FROM \(BillingTables.subscriptions.sql))) AS o
        LEFT JOIN (
          SELECT
            org_slug, subscription_id, stripe_read_at, \(BillingField.all.sql { $0 }),
            ROW_NUMBER() OVER (
              PARTITION BY org_slug
              ORDER BY
                IF(status IN ('ACTIVE', 'TRIAL'), 0, 1), IF(status IN ('ACTIVE', 'TRIAL'), NULL, stripe_read_at) DESC,
                created_at DESC, subscription_id DESC) AS place,
            COUNT(*) OVER (PARTITION BY org_slug) AS row_count
          FROM \(BillingTables.subscriptions.sql)) AS s
        ON s.org_slug = o.org_slug AND s.place = 1
        LEFT JOIN (
          SELECT org_slug, COUNT(*) AS live_rows
          FROM (
            SELECT DISTINCT org_slug, subscription_id FROM \(BillingTables.subscriptions.sql)
            WHERE status IN ('ACTIVE', 'TRIAL')) AS d
          GROUP BY org_slug) AS l
        ON l.org_slug = o.org_slug
        LEFT JOIN (
          SELECT org_slug, COUNT(*) AS variants, MIN(subscription_plan) AS plan
          FROM (SELECT DISTINCT org_slug, subscription_plan FROM \(BillingTables.profiles.sql)) AS d
          GROUP BY org_slug) AS p
        ON p.org_slug = o.org_slug
        LEFT JOIN (
          SELECT org_slug, COUNT(*) AS variants, \(BillingField.limits.sql { "MIN(\($0)) AS \($0)" })
          FROM (
            SELECT DISTINCT org_slug, \(BillingField.limits.sql { $0 })
            FROM \(BillingTables.quotas.sql)
            WHERE usage_date = @today) AS d
          GROUP BY org_slug) AS q
        ON q.org_slug = o.org_slug
        LEFT JOIN (
          SELECT DISTINCT org_slug FROM \(BillingTables.queue.sql) WHERE status = 'processing') AS w
        ON w.org_slug = o.org_slug
        """

    static let someSQL = """
        \(allSQL)
        WHERE o.org_slug IN UNNEST(@slugs)
          OR s.stripe_customer_id IN UNNEST(@customers) OR s.stripe_subscription_id IN UNNEST(@subscriptions)
        """
}
