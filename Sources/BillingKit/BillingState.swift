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

/// The organizations of the warehouse with their billing state, at one instant. Each has a number, from 0.
struct BillingState: Sendable {
    struct Organizations: RandomAccessCollection, Sendable {
        fileprivate var list = CompactList<StoredBilling>()
        fileprivate var slugs = CompactIndex()

        var startIndex: Int { 0 }
        var endIndex: Int { list.count }

        subscript(number: Int) -> StoredBilling { list[number] }
        subscript(slug: String) -> StoredBilling? { number(of: slug).map { list[$0] } }

        func number(of slug: String) -> Int? { slugs.numbers(for: slug).first { self.slug($0) == slug } }
        func slug(_ number: Int) -> String { list.read(String.self, at: number) }
        /// The numbers in the order of the slugs.
        func bySlug() -> [Int] { indices.sorted { slug($0) < slug($1) } }
        fileprivate func keys(_ number: Int) -> StoredBilling.Keys { list.read(StoredBilling.Keys.self, at: number) }
    }

    private(set) var organizations = Organizations()
    private var bySubscription = CompactIndex()
    private var byCustomer = CompactIndex()

    /// A page of this size takes about 5 MB while it is read.
    private static let rowsPerPage = 1000

    init(_ rows: [Row] = []) throws {
        try add(rows)
        sort()
    }

    private mutating func add(_ rows: [Row]) throws {
        for row in rows {
            let (number, stored) = (organizations.count, try StoredBilling(row))
            organizations.list.append(stored)
            organizations.slugs.add(number, for: stored.slug)
            let (subscription, customer) = (stored.values.subscription ?? "", stored.values.customer ?? "")
            if !subscription.isEmpty { bySubscription.add(number, for: subscription) }
            if !customer.isEmpty { byCustomer.add(number, for: customer) }
        }
    }

    private mutating func sort() {
        organizations.slugs.sort()
        bySubscription.sort()
        byCustomer.sort()
    }

    /// The numbers of the organizations that have the subscription stored.
    func holders(ofSubscription id: String) -> [Int] {
        bySubscription.numbers(for: id).filter { organizations.keys($0).subscription == id }
    }

    /// The numbers of the organizations that have the customer stored.
    func holders(ofCustomer id: String) -> [Int] {
        byCustomer.numbers(for: id).filter { organizations.keys($0).customer == id }
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
        try await warehouse.query(statement) { try state.add($0) }
        state.sort()
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
