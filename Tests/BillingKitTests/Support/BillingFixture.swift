import EmbeddedWarehouse
import Foundation
import HTTPTransport
import JobRuntime
import Logging
import SchemaKit
import Synchronization
import TestSupport
import Warehouse
import WarehouseKit

@testable import BillingKit

/// A Stripe account, a warehouse with the service's tables, and the two jobs between them.
struct BillingFixture: Sendable {
    let stripe: FakeStripe
    let warehouse: any Warehouse
    let clock = SteadyClock()
    let today = CivilDate("2026-03-15")!
    /// Reaches Stripe; `nil` is the server of ``stripe``.
    var transport: (any HTTPTransport)?
    var mode = StripeMode.test
    var ignore = StripeIgnore()
    static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    static let longAgo = Timestamp("2025-01-01T00:00:00Z")!

    init(_ warehouse: any Warehouse, _ account: FakeStripe.Account = .usual) async throws {
        self.warehouse = warehouse
        stripe = try FakeStripe(account)
        try await Bootstrap(
            warehouse: warehouse, catalog: try Catalog.embedded([.organizations, .operations]), environment: .test,
            report: ReportFixture().report
        ).create()
        _ = try await run(
            "INSERT INTO `scheduler_jobs.billing_event_cursor` (read_to, updated_at) VALUES (@now, @now)",
            ["now": .timestamp(SteadyClock.start)])
    }

    /// With organizations that have a profile, an untouched row in `org_subscriptions` and one for today's quota.
    init(_ backend: Backend, _ project: String, _ slugs: [String] = ["acme"], _ account: FakeStripe.Account = .usual)
        async throws
    {
        try await self.init(try await backend.warehouse(project), account)
        for slug in slugs { try await add(slug) }
    }

    func client(_ key: String = "rk_test_fixture0001") -> StripeClient {
        StripeClient(
            baseURL: stripe.server.url, key: Secret(key), mode: mode, ignore: ignore, requestsPerSecond: 20,
            transport: transport ?? CurlTransport(),
            time: LeapingClock().time, now: clock.now, logger: Self.quiet)
    }

    /// From now on Stripe has events of what changes.
    func recordEvents(erratic isErratic: Bool = false) {
        let clock = clock
        stripe.change {
            $0.clock = { clock.peek.microseconds }
            $0.isErratic = isErratic
        }
    }

    @discardableResult
    func reconcile(
        on other: (any Warehouse)? = nil, cancelMissing: Int? = nil, isDryRun: Bool = false,
        report: ReportFixture = ReportFixture()
    ) async throws -> ReportFixture {
        try await BillingReconciliation(
            stripe: client(), warehouse: other ?? warehouse, today: today, report: report.report, logger: Self.quiet,
            isDryRun: isDryRun, now: clock.now
        ).run(cancelMissing: cancelMissing)
        return report
    }

    @discardableResult
    func retry(
        on other: (any Warehouse)? = nil, stripe: StripeClient? = nil, limit: Int = 100,
        lease: Duration = .seconds(900), isDryRun: Bool = false,
        jitter: Double = 0, at now: Timestamp? = nil,
        report: ReportFixture = ReportFixture()
    ) async throws -> ReportFixture {
        let (clock, client) = (clock, stripe ?? client())
        let reconciliation = BillingReconciliation(
            stripe: client, warehouse: other ?? warehouse, today: today, report: report.report, logger: Self.quiet,
            now: clock.now)
        let fullLease = JobLease(
            warehouse: other ?? warehouse, job: "billing-sync-reconcile", holder: "retry \(clock.now())",
            validity: lease, report: report.report, now: clock.now, sleep: { clock.pass($0) })
        try await BillingRetry(
            stripe: client, warehouse: other ?? warehouse, today: today, report: report.report,
            reconciliation: reconciliation, lease: fullLease, isDryRun: isDryRun, now: { now ?? clock.now() },
            jitter: { jitter }
        ).run(limit: limit, lease: lease)
        return report
    }
}

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
    func state(_ slug: String) async throws -> [String: String] {
        let state = try await BillingState.read(metered, today: today, slugs: [slug])
        guard let stored = state.organizations[slug] else { return [:] }
        var texts = Dictionary(uniqueKeysWithValues: BillingField.all.map { ($0.name, $0.value(stored.values).text) })
        texts["other_live_rows"] = "\(stored.otherLiveRows)"
        switch stored.profilePlan {
        case .none: texts["profile.subscription_plan"] = ""
        case .one(let plan): texts["profile.subscription_plan"] = plan ?? ""
        case .contradictory: texts["profile.subscription_plan"] = "?"
        }
        for field in BillingField.limits {
            let name = "quota.\(field.name)"
            switch stored.quota {
            case .none: texts[name] = ""
            case .one(let limits): texts[name] = field.value(BillingValues(limits: limits)).text
            case .contradictory: texts[name] = "?"
            }
        }
        return texts
    }

    var metered: MeteredWarehouse { MeteredWarehouse(warehouse, ReportFixture().report) }

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

/// One row of `org_audit_logs` that a billing job wrote.
struct AuditRow {
    var id: String
    /// The version of the organization's row that the change made.
    var version: Int64
    var reason: String
    var changes: [(field: String, from: String, to: String)]

    init(_ row: Row) throws {
        id = try row.string("audit_id")
        version = id.split(separator: "-").last.flatMap { Int64($0) } ?? -1
        guard case .json(let text)? = row["details"] else { throw CocoaError(.coderReadCorrupt) }
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        reason = object?["reason"] as? String ?? ""
        changes = (object?["changes"] as? [[String: Any]] ?? []).compactMap { change in
            (change["field"] as? String).map {
                ($0, change["from"] as? String ?? "", change["to"] as? String ?? "")
            }
        }
    }
}

/// A wall clock that goes on by a millisecond each time somebody looks at it, and by more when a test says so.
final class SteadyClock: Sendable {
    static let start = Timestamp("2026-03-15T02:00:00Z")!

    private let state = Mutex(SteadyClock.start)

    func now() -> Timestamp {
        state.withLock { now in
            now = now.adding(.milliseconds(1))
            return now
        }
    }

    /// The time that it showed last.
    var peek: Timestamp { state.withLock { $0 } }

    func pass(_ duration: Duration) { state.withLock { $0 = $0.adding(duration) } }
}

/// Holds who comes to it until somebody opens it.
struct Gate: Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream()
    }

    func open() { continuation.finish() }
    func passed() async { for await _ in stream {} }
}

extension JobLease {
    /// Does the work under the lease.
    /// - Returns: `false` if another execution works.
    @discardableResult
    func holding(_ work: () async throws -> Void) async throws -> Bool {
        do {
            try await acquire()
        } catch is RunSkipped {
            return false
        }
        do {
            try await work()
        } catch {
            await release()
            throw error
        }
        await release()
        return true
    }
}
