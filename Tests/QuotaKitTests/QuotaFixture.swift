import JobRuntime
import QuotaKit
import SchemaKit
import TestSupport
import Warehouse
import WarehouseKit

/// A warehouse with the service's tables, into which a test puts organizations, runs and rows, and from which it reads.
struct QuotaFixture: Sendable {
    let warehouse: any Warehouse
    var columns = (daily: "current_daily_pipelines", monthly: "current_monthly_pipelines")

    init(_ warehouse: any Warehouse, catalog: Catalog? = nil) async throws {
        self.warehouse = warehouse
        try await Bootstrap(
            warehouse: warehouse, catalog: try catalog ?? Catalog.embedded([.organizations, .operations]),
            environment: .test, report: ReportFixture().report
        ).create()
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
            """
            INSERT INTO `organizations.org_profiles` (org_slug, company_name, admin_email, org_dataset_id, status, created_at)
            SELECT r.slug, 'Company', 'admin@acme.example', '', r.status, r.created FROM UNNEST(@rows) AS r
            """,
            profiles.map {
                [("slug", .string($0.slug)), ("status", .string($0.status)), ("created", .timestamp(Self.longAgo))]
            })
    }

    func add(subscriptions: [Subscription]) async throws {
        try await insert(
            """
            INSERT INTO `organizations.org_subscriptions` (
                subscription_id, org_slug, plan_name, status, daily_limit, monthly_limit, concurrent_limit, seat_limit,
                providers_limit, created_at)
            SELECT
                r.id, r.slug, 'STARTER', r.status, r.daily, r.monthly, r.concurrent, r.seats, r.providers, r.created
            FROM UNNEST(@rows) AS r
            """,
            subscriptions.map {
                [
                    ("id", .string($0.id)), ("slug", .string($0.slug)), ("status", .string($0.status)),
                    ("daily", .int64($0.limits.daily)), ("monthly", .int64($0.limits.monthly)),
                    ("concurrent", .int64($0.limits.concurrent)), ("seats", .optional($0.limits.seats)),
                    ("providers", .optional($0.limits.providers)), ("created", .timestamp($0.created)),
                ]
            })
    }

    func add(runs: [LoggedRun]) async throws {
        try await insert(
            """
            INSERT INTO `organizations.org_meta_pipeline_runs` (
                pipeline_logging_id, org_slug, pipeline_id, status, start_time, created_at)
            SELECT r.id, r.slug, 'costs', r.status, r.start, r.start FROM UNNEST(@rows) AS r
            """,
            runs.map {
                [
                    ("id", .string($0.id)), ("slug", .string($0.slug)), ("status", .string($0.status)),
                    ("start", .timestamp($0.start)),
                ]
            })
    }

    func add(rows: [QuotaRow]) async throws {
        try await insert(
            """
            INSERT INTO `organizations.org_usage_quotas` (
                usage_id, org_slug, usage_date, `\(columns.daily)`, pipelines_succeeded_today, pipelines_failed_today,
                `\(columns.monthly)`, concurrent_pipelines_running, daily_limit, max_concurrent_reached, last_updated,
                created_at)
            SELECT
                r.id, r.slug, r.day, r.daily, r.succeeded, r.failed, r.monthly, r.running, r.daily_limit, r.highest,
                r.created, r.created
            FROM UNNEST(@rows) AS r
            """,
            rows.map {
                [
                    ("id", .string($0.id)), ("slug", .string($0.slug)), ("day", .date($0.date)),
                    ("daily", .int64($0.daily)), ("succeeded", .int64($0.succeeded)), ("failed", .int64($0.failed)),
                    ("monthly", .int64($0.monthly)), ("running", .int64($0.running)),
                    ("daily_limit", .int64($0.dailyLimit)), ("highest", .optional($0.highest)),
                    ("created", .timestamp($0.created)),
                ]
            })
    }

    func run(_ sql: String, _ parameters: KeyValuePairs<String, SQLValue> = [:]) async throws {
        _ = try await warehouse.query(Statement("prepare a test", sql, parameters: parameters))
    }

    static let longAgo = Timestamp("2023-05-01T10:00:00Z")!

    private func insert(_ sql: String, _ rows: [[(String, SQLValue)]]) async throws {
        guard !rows.isEmpty else { return }
        let structures = rows.map { SQLValue.structure($0.map { SQLValue.Field($0.0, $0.1) }) }
        try await run(sql, ["rows": .array(of: structures[0].type, structures)])
    }
}

extension SQLValue {
    static func optional(_ number: Int64?) -> SQLValue { number.map { .int64($0) } ?? .null(.int64) }
}
