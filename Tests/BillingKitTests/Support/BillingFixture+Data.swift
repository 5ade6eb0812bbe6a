import JobRuntime
import SchemaKit
import TestSupport
import Warehouse
import WarehouseKit

@testable import BillingKit

extension BillingFixture {
    func run(_ sql: String, _ parameters: KeyValuePairs<String, SQLValue> = [:]) async throws -> [Row] {
        try await warehouse.query(Statement("prepare or read in a test", sql, parameters: parameters)).rows
    }

    func add(_ slug: String, subscription: Bool = true, quota: Bool = true) async throws {
        _ = try await run(
            """
            INSERT INTO `organizations.org_profiles` (org_slug, company_name, admin_email, org_dataset_id, status, created_at)
            VALUES (@slug, 'Company', 'admin@acme.example', '', 'ACTIVE', @created)
            """, ["slug": .string(slug), "created": .timestamp(Self.longAgo)])
        if subscription {
            _ = try await run(
                """
                INSERT INTO `organizations.org_subscriptions` (
                  subscription_id, org_slug, plan_name, status, daily_limit, monthly_limit, concurrent_limit, created_at)
                VALUES (@id, @slug, 'OLD', 'TRIAL', 1, 1, 1, @created)
                """, ["id": .string("row_\(slug)"), "slug": .string(slug), "created": .timestamp(Self.longAgo)])
        }
        if quota {
            _ = try await run(
                """
                INSERT INTO `organizations.org_usage_quotas` (
                  usage_id, org_slug, usage_date, current_daily_pipelines, pipelines_succeeded_today,
                  pipelines_failed_today, current_monthly_pipelines, concurrent_pipelines_running, daily_limit,
                  last_updated, created_at)
                VALUES (@id, @slug, @today, 4, 0, 0, 9, 0, 1, @created, @created)
                """,
                [
                    "id": .string("\(slug)_quota"), "slug": .string(slug), "today": .date(today),
                    "created": .timestamp(Self.longAgo),
                ])
        }
    }

    func enqueue(
        _ slug: String, _ type: String = "webhook", id: String? = nil, payload: String? = nil
    ) async throws {
        let now = clock.now()
        _ = try await run(
            """
            INSERT INTO `scheduler_jobs.billing_sync_queue` (
              sync_id, org_slug, sync_type, payload, status, retry_count, max_retries, created_at, updated_at)
            SELECT @id, @slug, @type, PARSE_JSON(@payload), 'pending', 0, 5, @now, @now
            """,
            [
                "id": .string(id ?? "sync_\(now.microseconds)"), "slug": .string(slug), "type": .string(type),
                "payload": payload.map { .string($0) } ?? .null(.string), "now": .timestamp(now),
            ])
    }

    /// The state of an organization by field.
    func state(_ slug: String) async throws -> [BillingField: String] {
        let rows = try await warehouse.query(BillingStateStatements(today: today).some([slug])).rows
        guard let stored = try BillingState(rows).organizations[slug] else { return [:] }
        return Dictionary(
            uniqueKeysWithValues: zip(BillingField.allCases, stored.texts.map(String.init)))
    }

    /// The audits of an organization, in the order of the versions that they made.
    func audits(_ slug: String) async throws -> [AuditRow] {
        try await run(
            """
            SELECT audit_id, details FROM `organizations.org_audit_logs` WHERE org_slug = @slug
            """, ["slug": .string(slug)]
        ).map { try AuditRow($0) }.sorted { $0.version < $1.version }
    }

    /// The queue by `sync_id`.
    func queue() async throws -> [String: QueueRow] {
        let rows = try await run(
            """
            SELECT sync_id, status, retry_count, next_retry_at, lease_token, last_error
            FROM `scheduler_jobs.billing_sync_queue`
            """)
        return Dictionary(
            uniqueKeysWithValues: try rows.map { row in
                (
                    try row.string("sync_id"),
                    QueueRow(
                        status: try row.string("status"), retries: try row.int64("retry_count"),
                        nextRetry: try row.optionalTimestamp("next_retry_at"),
                        isClaimed: try row.optionalString("lease_token") != nil,
                        error: try row.optionalString("last_error"))
                )
            })
    }
}

struct QueueRow: Hashable {
    var status: String
    var retries: Int64
    var nextRetry: Timestamp?
    var isClaimed: Bool
    var error: String?
}

extension BillingFixture {
    /// Two organizations with a subscription each, on SQLite where nothing else is said.
    static func acmeAndGlobex(_ name: String, _ backend: Backend = Backend.allCases[0]) async throws -> BillingFixture {
        let fixture = try await BillingFixture(backend, name, ["acme", "globex"])
        fixture.stripe.change {
            $0.subscriptions = [
                ReconciliationTests.subscription,
                .init(id: "sub_2", customer: "cus_2", metadata: ["org_slug": "globex"]),
            ]
        }
        return fixture
    }
}
