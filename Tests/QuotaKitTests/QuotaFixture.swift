import FoundationEssentials
import JobRuntime
import Logging
import QuotaKit
import SchemaKit
import TestSupport
import Warehouse
import WarehouseKit

/// A warehouse with the service's tables, into which a test puts organizations, runs and rows, and from which it reads.
struct QuotaFixture: Sendable {
    let warehouse: any Warehouse
    /// The catalog of the tables, unless it is the built-in one.
    private var catalog: Catalog?
    var columns = (daily: "current_daily_pipelines", monthly: "current_monthly_pipelines")

    init(_ warehouse: any Warehouse, catalog: Catalog? = nil) async throws {
        self.warehouse = warehouse
        self.catalog = catalog
        try await warehouse.bootstrapped(catalog)
    }

    /// A warehouse that has its tables already.
    init(of warehouse: any Warehouse, catalog: Catalog) {
        self.warehouse = warehouse
        self.catalog = catalog
    }

    /// Organizations with a subscription each.
    func add(active slugs: [String], limit: Int64 = 6) async throws {
        try await add(profiles: slugs.map { ($0, "ACTIVE") })
        try await add(
            subscriptions: slugs.map {
                Subscription(id: "sub_\($0)", slug: $0, limits: Limits(daily: limit), created: Self.longAgo)
            })
    }

    func add(profiles: [(slug: String, status: String)]) async throws {
        try await insert(
            into: "org_profiles",
            profiles.map {
                ["org_slug": .string($0.slug), "org_dataset_id": "", "status": .string($0.status)]
            })
    }

    func add(subscriptions: [Subscription]) async throws {
        try await insert(
            into: "org_subscriptions",
            subscriptions.map {
                [
                    "subscription_id": .string($0.id), "org_slug": .string($0.slug), "status": .string($0.status),
                    "daily_limit": .int64($0.limits.daily), "monthly_limit": .int64($0.limits.monthly),
                    "concurrent_limit": .int64($0.limits.concurrent), "seat_limit": .optional($0.limits.seats),
                    "providers_limit": .optional($0.limits.providers), "created_at": .timestamp($0.created),
                ]
            })
    }

    func add(runs: [LoggedRun]) async throws {
        try await insert(
            into: "org_meta_pipeline_runs",
            runs.map {
                [
                    "pipeline_logging_id": .string($0.id), "org_slug": .string($0.slug),
                    "status": .string($0.status), "start_time": .timestamp($0.start),
                    "created_at": .timestamp($0.start),
                ]
            })
    }

    func add(rows: [QuotaRow]) async throws {
        try await insert(
            into: "org_usage_quotas",
            rows.map {
                [
                    "usage_id": .string($0.id), "org_slug": .string($0.slug), "usage_date": .date($0.date),
                    columns.daily: .int64($0.daily), "pipelines_succeeded_today": .int64($0.succeeded),
                    "pipelines_failed_today": .int64($0.failed), columns.monthly: .int64($0.monthly),
                    "concurrent_pipelines_running": .int64($0.running), "daily_limit": .int64($0.dailyLimit),
                    "max_concurrent_reached": .optional($0.highest), "last_updated": .timestamp($0.created),
                    "created_at": .timestamp($0.created),
                ]
            })
    }

    func run(_ sql: String, _ parameters: KeyValuePairs<String, SQLValue> = [:]) async throws {
        try await warehouse.run(sql, parameters)
    }

    static let longAgo = ServiceTables.longAgo

    private func insert(into table: String, _ rows: [[String: SQLValue]]) async throws {
        try await warehouse.insert(into: "organizations.\(table)", rows, catalog: catalog)
    }

    /// Tables that were created without some columns, which bootstrap-sync has added since as NULLABLE.
    init(widened columns: [String: Set<String>], _ backend: Backend, _ project: String) async throws {
        let catalog = try Catalog.embedded([.organizations, .operations])
        var files: [Catalog.Group: [CatalogFile]] = [:]
        for group in [Catalog.Group.organizations, .operations] {
            files[group] = try catalog.tables(group).map { named in
                var table = named.table
                table.schema.fields.removeAll { columns[named.name]?.contains($0.name) == true }
                return CatalogFile(name: named.name, path: named.name, contents: try JSONEncoder().encode(table))
            }
        }
        try await self.init(backend.warehouse(project), catalog: Catalog(files))
        try await Bootstrap(
            warehouse: warehouse, catalog: catalog, environment: .test, report: ReportFixture().report
        ).addColumns()
        self.catalog = nil
    }

    /// A quota job with its time; in another warehouse, one that fails in between.
    enum Job: Hashable, Sendable {
        case daily, monthly, stale
        case retention(days: Int)
    }

    @discardableResult
    func perform(
        _ job: Job, at now: Timestamp, on other: (any SQLWarehouse)? = nil, columns: QuotaColumns = .standard,
        counts: QuotaCounts = .succeeded, staleAfterMinutes: Int = 60, lookbackDays: Int = 7, fence: LeaseFence? = nil,
        isDryRun: Bool = false,
        logger: Logger? = nil, report fixture: ReportFixture = ReportFixture(), clock: Timestamp? = nil
    ) async throws -> ReportFixture {
        let target: any SQLWarehouse = other ?? warehouse
        let reset = QuotaReset(
            warehouse: target, columns: columns, counts: counts, staleAfter: .seconds(60 * staleAfterMinutes),
            fence: fence,
            report: fixture.report, isDryRun: isDryRun, clock: { clock ?? now })
        switch job {
        case .daily: try await reset.openDay(at: now)
        case .monthly: try await reset.recountMonth(at: now)
        case .stale:
            try await StaleRunCleaner(
                warehouse: target, staleAfter: StaleAge(minutes: staleAfterMinutes), lookbackDays: lookbackDays,
                report: fixture.report, logger: logger ?? Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                isDryRun: isDryRun
            ).clean(now.date, at: clock ?? now)
        case .retention(let days):
            try await RowRetention(
                of: .usageQuotas, warehouse: target, report: fixture.report, isDryRun: isDryRun
            ).deleteRows(before: now.date.adding(days: -days))
        }
        return fixture
    }

    /// As a process does it: under the job's lease. Waiting for another job's takes no time.
    @discardableResult
    func performLeased(
        _ job: Job, at now: Timestamp, on other: (any SQLWarehouse)? = nil, holder: String, clock: Timestamp,
        report: ReportFixture = ReportFixture()
    ) async throws -> Bool {
        let (name, others) = Self.leases(job)
        let lease = JobLease(
            warehouse: other ?? warehouse, job: name, excluding: others, holder: holder, validity: .seconds(3600),
            report: report.report, now: { clock }, sleep: { _ in try await Task.sleep(for: .milliseconds(10)) })
        return try await lease.withLease { try await perform(job, at: now, on: lease.sql, fence: lease.fence) }
    }

    /// The name of the job, and the jobs whose leases it takes, too.
    static func leases(_ job: Job) -> (String, [String]) {
        switch job {
        case .daily: ("quota-reset-daily", [])
        case .monthly: ("quota-reset-monthly", ["quota-reset-daily"])
        case .stale: ("stale-cleanup", [])
        case .retention: ("quota-cleanup", [])
        }
    }

    func rows() async throws -> [QuotaRow] {
        let result = try await warehouse.query(
            Statement("read the rows of a test", "SELECT * FROM `organizations.org_usage_quotas`"))
        return QuotaRow.inOrder(
            try result.rows.map { row in
                var read = QuotaRow(
                    id: try row.string("usage_id"), slug: try row.string("org_slug"), date: try row.date("usage_date"),
                    at: try row.timestamp("created_at"))
                read.daily = try row.int64(columns.daily)
                read.succeeded = try row.int64("pipelines_succeeded_today")
                read.failed = try row.int64("pipelines_failed_today")
                read.monthly = try row.int64(columns.monthly)
                read.running = try row.int64("concurrent_pipelines_running")
                read.dailyLimit = try row.int64("daily_limit")
                read.monthlyLimit = try row.optionalInt64("monthly_limit")
                read.concurrentLimit = try row.optionalInt64("concurrent_limit")
                read.seatLimit = try row.optionalInt64("seat_limit")
                read.providersLimit = try row.optionalInt64("providers_limit")
                read.highest = try row.optionalInt64("max_concurrent_reached")
                read.lastUpdated = try row.timestamp("last_updated")
                read.updated = try row.optionalTimestamp("updated_at")
                return read
            })
    }

    /// The row of an organization, which has one.
    func row(_ slug: String, _ date: String? = nil) async throws -> QuotaRow? {
        try await rows().first { $0.slug == slug && (date == nil || $0.date.description == date) }
    }

    func runs() async throws -> [LoggedRun] {
        try await warehouse.query(
            Statement(
                "read the runs of a test",
                """
                SELECT pipeline_logging_id, org_slug, status, start_time, end_time, duration_ms, error_message
                FROM `organizations.org_meta_pipeline_runs` ORDER BY pipeline_logging_id
                """)
        ).rows.map { row in
            var run = LoggedRun(
                try row.string("pipeline_logging_id"), try row.string("org_slug"), try row.string("status"),
                try row.timestamp("start_time"))
            run.end = try row.optionalTimestamp("end_time")
            run.durationMilliseconds = try row.optionalInt64("duration_ms")
            run.error = try row.optionalString("error_message")
            return run
        }
    }
}

/// A row of the run log, with the columns that the quota jobs use.
struct LoggedRun: Hashable, Sendable {
    var id: String
    var slug: String
    var status: String
    var start: Timestamp
    var end: Timestamp?
    var durationMilliseconds: Int64?
    var error: String?

    init(_ id: String, _ slug: String, _ status: String, _ start: Timestamp) {
        self.id = id
        self.slug = slug
        self.status = status
        self.start = start
    }

    var isOpen: Bool { ["PENDING", "RUNNING", "CANCELLING"].contains(status) }
}

/// The five limits of a subscription; all follow from one number.
struct Limits: Hashable, Sendable {
    var daily: Int64

    var monthly: Int64 { daily * 30 }
    var concurrent: Int64 { daily / 2 }
    var seats: Int64? { daily % 3 == 0 ? nil : daily + 1 }
    var providers: Int64? { daily % 2 == 0 ? nil : daily + 2 }
}

struct Subscription: Hashable, Sendable {
    var id: String
    var slug: String
    var status = "ACTIVE"
    var limits: Limits
    var created: Timestamp
}

/// A row of `org_usage_quotas`, whole.
struct QuotaRow: Hashable, Sendable {
    var id: String
    var slug: String
    var date: CivilDate
    var daily: Int64 = 0
    var succeeded: Int64 = 0
    var failed: Int64 = 0
    var monthly: Int64 = 0
    var running: Int64 = 0
    var dailyLimit: Int64 = 0
    var monthlyLimit: Int64?
    var concurrentLimit: Int64?
    var seatLimit: Int64?
    var providersLimit: Int64?
    var highest: Int64?
    var lastUpdated: Timestamp
    var created: Timestamp
    var updated: Timestamp?

    init(id: String, slug: String, date: CivilDate, at instant: Timestamp) {
        self.id = id
        self.slug = slug
        self.date = date
        lastUpdated = instant
        created = instant
    }

    mutating func take(_ limits: Limits) {
        dailyLimit = limits.daily
        monthlyLimit = limits.monthly
        concurrentLimit = limits.concurrent
        seatLimit = limits.seats
        providersLimit = limits.providers
    }

    /// At least what is running at the moment.
    mutating func raiseHighest() {
        if highest ?? 0 < running { highest = running }
    }

    /// Whether every counter is at least as great as in another version of the row.
    func counts(atLeast other: QuotaRow) -> Bool {
        daily >= other.daily && succeeded >= other.succeeded && failed >= other.failed && monthly >= other.monthly
            && running >= other.running && highest ?? 0 >= other.highest ?? 0
    }

    /// A duplicate has the same organization and date, so the order takes everything else in.
    static func inOrder(_ rows: [QuotaRow]) -> [QuotaRow] {
        rows.sorted { ($0.slug, $0.date, $0.id, $0.created) < ($1.slug, $1.date, $1.id, $1.created) }
    }
}
