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

    /// A page of this size takes about 5 MB while it is read, as its JSON has 26 objects in each row.
    private static let rowsPerPage = 500

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
