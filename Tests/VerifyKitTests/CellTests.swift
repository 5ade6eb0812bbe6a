import JobRuntime
import TestSupport
import Testing
import Warehouse

@testable import SchemaKit
@testable import VerifyKit
@testable import WarehouseKit

/// One cell of a right warehouse has another value, and the invariant that it breaks is named.
@Suite struct CellTests {
    @Test(arguments: CellTable.all)
    fileprivate func aChangedCellIsNamedByTheInvariantThatItBreaks(_ table: CellTable) async throws {
        let right = try await RightWarehouse(tenants: table.needsTenants)
        let attestation = try right.attestation()
        let inspections = attestation.inspections().filter { inspection in
            inspection.invariants.contains(where: { invariant in table.cells.contains { $0.breaks == invariant } })
        }
        func broken() async throws -> Set<String> {
            var results: [InvariantResult] = []
            for inspection in inspections {
                results += try await attestation.results(of: inspection, at: RightWarehouse.night)
            }
            results.append(try await attestation.chainResult().0)
            return Set(results.filter { !$0.holds }.map(\.invariant.name))
        }
        #expect(try await broken() == [])

        for cell in table.cells {
            let places = try await cell.places(in: right.warehouse)
            #expect(!places.isEmpty, "\(cell) concerns no row")
            for place in places {
                let broken = try await cell.whileChanged(at: place, in: right.warehouse, broken)
                #expect(broken.contains(cell.breaks.name), "\(cell), row \(place): \(broken)")
            }
        }
        #expect(try await broken() == [])
    }

    /// No column is forgotten: each one is among the cells, or is left out for a reason.
    @Test func everyColumnOfTheTablesIsCoveredOrLeftOutForAReason() throws {
        let catalog = try Catalog.embedded([.organizations, .operations])
        for table in CellTable.all {
            let parts = table.name.split(separator: ".").map(String.init)
            let group: Catalog.Group = parts[0] == "organizations" ? .organizations : .operations
            let columns = try #require(catalog.tables(group).first { $0.name == parts[1] }).table.schema.fields.map(
                \.name)

            let named = table.cells.map(\.column) + table.leftOut.keys

            #expect(Set(named) == Set(columns), "\(table.name)")
        }
        let read = CellTable.all.map(\.name).filter { $0.hasPrefix("scheduler_jobs.") }
        #expect(
            Set(catalog.tables(.operations).map { "scheduler_jobs.\($0.name)" })
                == Set(read + ["scheduler_jobs.schema_changes"]))
    }
}

extension RightWarehouse {
    func attestation(on other: (any Warehouse)? = nil) throws -> Attestation {
        let target = other ?? warehouse
        return Attestation(
            sql: target, schema: target, fence: nil,
            expectations: Expectations(
                catalog: try Catalog.embedded(Catalog.Group.allCases), environment: .test, location: "US"),
            execution: nil, report: ReportFixture().report, isDryRun: true, now: { Self.night })
    }
}

/// The cells of one table.
private struct CellTable: Sendable, CustomTestStringConvertible {
    var name: String
    var cells: [Cell]
    /// The columns about which no invariant says anything, or of which only some changes can be seen, and why.
    var leftOut: [String: String]
    var needsTenants = false

    var testDescription: String { name }

    static let all = [
        quotas, runs, profiles, subscriptions, audits, queue, cursor, leases, history, rollouts, verifications,
    ]

    private static let quotas = {
        let table = "organizations.org_usage_quotas"
        let counters = ["current_daily_pipelines", "pipelines_succeeded_today", "current_monthly_pipelines"]
        let limits = ["daily_limit", "monthly_limit", "concurrent_limit", "seat_limit", "providers_limit"]
        return CellTable(
            name: table,
            cells: [
                Cell(table, "org_slug", Cell.set("elsewhere"), breaks: QuotaInspection.rows),
                Cell(table, "usage_date", Cell.later(days: -30), breaks: QuotaInspection.rows),
                Cell(table, "pipelines_failed_today", Cell.add(-1), breaks: QuotaInspection.failed),
                Cell(table, "concurrent_pipelines_running", Cell.add(1), breaks: QuotaInspection.concurrent),
                Cell(table, "concurrent_pipelines_running", Cell.add(-1), breaks: QuotaInspection.concurrent),
                Cell(table, "max_concurrent_reached", Cell.set(-1), breaks: QuotaInspection.concurrent),
            ]
                + counters.flatMap {
                    [
                        Cell(table, $0, Cell.add(1), breaks: QuotaInspection.counters),
                        Cell(table, $0, Cell.add(-1), breaks: QuotaInspection.counters),
                    ]
                }
                + limits.map {
                    Cell(table, $0, Cell.add(1), where: "usage_date = '2026-03-15'", breaks: QuotaInspection.limits)
                },
            leftOut: [
                "usage_id": "organization and date identify a row; other services use ids of their own",
                "last_pipeline_completed_at": "the API service alone writes it",
                "last_updated": "a stamp",
                "created_at": "a stamp; it decides which runs over midnight a counter may lack",
                "updated_at": "a stamp; it decides which runs a counter may have twice",
            ])
    }()

    private static let runs = {
        let table = "organizations.org_meta_pipeline_runs"
        let succeeded = "status IN ('COMPLETED', 'SUCCEEDED')"
        let next = "CASE org_slug WHEN 'acme' THEN 'globex' WHEN 'globex' THEN 'initech' ELSE 'acme' END"
        let sameDay = "start_time >= '2026-03-14 00:00:00.000000+00:00'"
        return CellTable(
            name: table,
            cells: [
                Cell(table, "org_slug", .sql(next), where: succeeded, breaks: QuotaInspection.counters),
                Cell(
                    table, "org_slug", .sql(next), where: "status IN ('FAILED', 'TIMEOUT')",
                    breaks: QuotaInspection.failed),
                Cell(
                    table, "org_slug", .sql(next), where: "status IN ('RUNNING', 'PENDING')",
                    breaks: QuotaInspection.concurrent),
                Cell(table, "status", Cell.set("FAILED"), where: succeeded, breaks: QuotaInspection.counters),
                Cell(
                    table, "status", Cell.set("COMPLETED"), where: "NOT \(succeeded)", breaks: QuotaInspection.counters),
                Cell(table, "status", Cell.set("completed"), breaks: QuotaInspection.statuses),
                Cell(table, "start_time", Cell.later(days: -40), where: succeeded, breaks: QuotaInspection.counters),
                Cell(
                    table, "start_time", Cell.later(days: -1), where: "status IN ('FAILED', 'TIMEOUT') AND \(sameDay)",
                    breaks: QuotaInspection.failed),
                Cell(
                    table, "start_time", Cell.later(days: -1), where: "status IN ('RUNNING', 'PENDING')",
                    breaks: QuotaInspection.staleRuns),
            ],
            leftOut: [
                "pipeline_logging_id": "names the run; no counter rests on it", "pipeline_id": "no counter rests on it",
                "trigger_type": "no counter rests on it", "trigger_by": "no counter rests on it",
                "user_id": "no counter rests on it", "org_api_key_id": "no counter rests on it",
                "end_time": "decides which counters may lack the run or have it twice, and nothing else",
                "duration_ms": "no counter rests on it", "run_date": "no counter rests on it",
                "parameters": "no counter rests on it", "run_metadata": "no counter rests on it",
                "error_message": "no counter rests on it", "error_context": "no counter rests on it",
                "created_at": "a stamp",
            ])
    }()

    private static let profiles = {
        let (table, active) = ("organizations.org_profiles", "status = 'ACTIVE'")
        return CellTable(
            name: table,
            cells: [
                Cell(table, "org_slug", Cell.set("elsewhere"), where: active, breaks: BillingInspection.rows),
                Cell(
                    table, "org_dataset_id", Cell.set("nowhere"), where: active, breaks: SchemaInspection.organizations),
                Cell(table, "status", Cell.set("SUSPENDED"), where: active, breaks: QuotaInspection.rows),
                Cell(
                    table, "status", Cell.set("ACTIVE"), where: "status = 'SUSPENDED'",
                    breaks: SchemaInspection.organizations),
                Cell(table, "subscription_plan", Cell.set("OTHER"), where: active, breaks: BillingInspection.plans),
            ],
            leftOut: Dictionary(
                uniqueKeysWithValues: [
                    "company_name", "admin_email", "default_currency", "default_country", "default_language",
                    "default_timezone", "fiscal_year_start_month",
                ].map { ($0, "no job reads or writes it") } + [
                    ("created_at", "a stamp; it decides since when an organization has rows"),
                    ("updated_at", "a stamp; it decides since when an organization has rows"),
                ]), needsTenants: true)
    }()

    private static let subscriptions = {
        let table = "organizations.org_subscriptions"
        let mirror = AuditInspection.mirror
        let limits = ["daily_limit", "monthly_limit", "concurrent_limit", "seat_limit", "providers_limit"]
        return CellTable(
            name: table,
            cells: [
                Cell(table, "subscription_id", Cell.set("other"), breaks: mirror),
                Cell(table, "org_slug", Cell.set("elsewhere"), breaks: BillingInspection.rows),
                Cell(table, "plan_name", Cell.set("OTHER"), breaks: mirror),
                Cell(table, "plan_name", Cell.set("OTHER"), breaks: BillingInspection.plans),
                Cell(table, "status", Cell.set("CANCELLED"), breaks: mirror),
                Cell(table, "status", Cell.set("active"), breaks: BillingInspection.rows),
                Cell(table, "trial_end_date", Cell.later(days: 1), breaks: mirror),
                Cell(table, "subscription_end_date", Cell.later(days: 1), breaks: mirror),
                Cell(table, "stripe_customer_id", Cell.set("cus_other"), breaks: mirror),
                Cell(table, "stripe_subscription_id", Cell.set("sub_other"), breaks: mirror),
                Cell(
                    table, "stripe_subscription_id", Cell.set("sub_acme"), where: "org_slug != 'acme'",
                    breaks: BillingInspection.subscriptions),
                Cell(table, "stripe_read_at", Cell.later(days: -1), breaks: mirror),
                Cell(table, "stripe_read_at", Cell.set(.null(.timestamp)), breaks: mirror),
                Cell(table, "stripe_read_at", Cell.later(days: 10), breaks: BillingInspection.rows),
                Cell(table, "current_period_end", Cell.later(seconds: 1), breaks: mirror),
                Cell(table, "cancel_at_period_end", Cell.set(false), breaks: mirror),
            ]
                + limits.flatMap {
                    [
                        Cell(table, $0, Cell.add(1), breaks: mirror),
                        Cell(table, $0, Cell.add(1), breaks: QuotaInspection.limits),
                    ]
                },
            leftOut: [
                "created_at": "orders several live rows, of which there must be none", "updated_at": "a stamp",
            ])
    }()

    private static let audits = {
        let (table, audits) = ("organizations.org_audit_logs", AuditInspection.audits)
        let details = Cell.Value.of { old in
            if case .json(let text) = old { .json(text.replacing("STARTER", with: "OTHER")) } else { old }
        }
        return CellTable(
            name: table,
            cells: [
                Cell(table, "audit_id", Cell.set("other"), breaks: audits),
                Cell(table, "org_slug", Cell.set("elsewhere"), breaks: audits),
                Cell(table, "action", Cell.set("OTHER"), breaks: audits),
                Cell(table, "resource_type", Cell.set("OTHER"), breaks: audits),
                Cell(table, "resource_id", Cell.set("other"), breaks: audits),
                Cell(table, "details", details, breaks: AuditInspection.mirror),
                Cell(table, "details", Cell.set(.json("{}")), breaks: audits),
                Cell(table, "details", Cell.set(.null(.json)), breaks: audits),
                Cell(table, "user_agent", Cell.set("other"), breaks: audits),
                Cell(table, "status", Cell.set("FAILURE"), breaks: audits),
            ],
            leftOut: [
                "user_id": "the jobs leave it empty", "api_key_id": "the jobs leave it empty",
                "ip_address": "the jobs leave it empty", "request_id": "Stripe's name for the reply",
                "error_message": "the jobs leave it empty",
                "created_at": "the id has the time of the reading; this one decides only whether the record is read",
            ])
    }()

    private static let queue = {
        let (table, items) = ("scheduler_jobs.billing_sync_queue", QueueInspection.items)
        let isOpen = "status IN ('pending', 'processing')"
        let states = ["pending", "processing", "completed", "failed"]
        let changes = states.flatMap { old in
            // From failed to pending is what --requeue does.
            (states + ["done"]).filter { $0 != old && (old, $0) != ("failed", "pending") }.map {
                Cell(table, "status", Cell.set(.string($0)), where: "status = '\(old)'", breaks: items)
            }
        }
        return CellTable(
            name: table,
            cells: changes + [
                Cell(
                    table, "sync_id", .sql("(SELECT MIN(sync_id) FROM `\(table)`)"),
                    where: "sync_id != (SELECT MIN(sync_id) FROM `\(table)`)", breaks: items),
                Cell(table, "org_slug", Cell.set("nobody"), where: isOpen, breaks: items),
                Cell(table, "sync_type", Cell.set("unknown"), where: isOpen, breaks: items),
                Cell(table, "retry_count", Cell.set(-1), breaks: items),
                Cell(table, "retry_count", Cell.add(99), breaks: items),
                Cell(table, "max_retries", Cell.set(-1), breaks: items),
                Cell(table, "next_retry_at", Cell.later(days: 1), breaks: items),
                Cell(table, "lease_token", Cell.set(.null(.string)), where: "status = 'processing'", breaks: items),
                Cell(table, "lease_token", Cell.set("token"), where: "status != 'processing'", breaks: items),
                Cell(
                    table, "lease_expires_at", Cell.set(.null(.timestamp)), where: "status = 'processing'",
                    breaks: items),
                Cell(table, "lease_expires_at", Cell.later(days: 2), breaks: items),
                Cell(
                    table, "lease_expires_at", Cell.later(days: -1), where: "status = 'processing'",
                    breaks: QueueInspection.stuck),
                Cell(table, "last_error", Cell.set(.null(.string)), where: "status = 'failed'", breaks: items),
                Cell(table, "created_at", Cell.later(days: 1), breaks: items),
                Cell(table, "updated_at", Cell.later(days: -1), breaks: items),
                Cell(table, "updated_at", Cell.later(days: 1), breaks: items),
                Cell(table, "completed_at", Cell.set(.null(.timestamp)), where: "status = 'completed'", breaks: items),
                Cell(table, "completed_at", Cell.later(days: -1), breaks: items),
            ],
            leftOut: ["payload": "a hint where to look; nothing in it is written"])
    }()

    private static let cursor = {
        let (table, cursor) = ("scheduler_jobs.billing_event_cursor", QueueInspection.cursor)
        return CellTable(
            name: table,
            cells: ["read_to", "updated_at", "gap_recorded_at"].flatMap { column in
                [-2, 2].map { Cell(table, column, Cell.later(days: $0), breaks: cursor) }
            } + [
                Cell(table, "gap_since", Cell.later(days: 400), breaks: cursor),
                Cell(table, "gap_recorded_at", Cell.set(.null(.timestamp)), breaks: cursor),
            ], leftOut: [:])
    }()

    private static let leases = {
        let (table, leases) = ("scheduler_jobs.job_leases", ServiceInspection.leases)
        let (free, held, kept) = (
            "holder IS NULL", "acquired_at IS NOT NULL", "holder IS NOT NULL AND acquired_at IS NULL"
        )
        func cell(_ column: String, _ value: Cell.Value, _ rows: String) -> Cell {
            Cell(table, column, value, where: rows, breaks: leases)
        }
        return CellTable(
            name: table,
            cells: [
                cell("holder", Cell.set(.null(.string)), held), cell("holder", Cell.set(.null(.string)), kept),
                cell("holder", Cell.set("somebody"), held), cell("holder", Cell.set("somebody"), free),
                cell("token", Cell.set("token"), free), cell("token", Cell.set(""), held),
                cell("token", Cell.set(.null(.string)), kept), cell("acquired_at", Cell.later(days: -1), free),
                cell("acquired_at", Cell.later(days: 1), held), cell("acquired_at", Cell.later(days: -30), held),
                cell("acquired_at", Cell.set(.null(.timestamp)), held), cell("expires_at", Cell.later(days: 1), free),
                cell("expires_at", Cell.later(days: -1), free), cell("expires_at", Cell.later(days: 30), held),
                cell("expires_at", Cell.later(days: -30), held), cell("expires_at", Cell.later(days: 1), kept),
                cell("updated_at", Cell.later(days: 1), "TRUE"), cell("updated_at", Cell.later(days: -1), "TRUE"),
            ], leftOut: ["job": "a row of another name guards nothing, and the next run adds its own"])
    }()

    private static let history = {
        let (table, history) = ("scheduler_jobs.job_runs", ServiceInspection.history)
        let (succeeded, failed) = ("status = 'succeeded'", "status = 'failed'")
        return CellTable(
            name: table,
            cells: [
                Cell(table, "job", Cell.set("other"), breaks: history),
                Cell(
                    table, "job", Cell.set("bootstrap"), where: "job = 'stale-cleanup'",
                    breaks: ServiceInspection.schedules),
                Cell(table, "status", Cell.set("failed"), where: succeeded, breaks: history),
                Cell(
                    table, "status", Cell.set("stopped"), where: "job = 'billing-sync-retry'",
                    breaks: ServiceInspection.schedules),
                Cell(table, "status", Cell.set("succeeded"), where: failed, breaks: history),
                Cell(table, "status", Cell.set("skipped"), where: failed, breaks: history),
                Cell(table, "status", Cell.set("done"), breaks: history),
                Cell(table, "started_at", Cell.later(seconds: 1), breaks: history),
                Cell(table, "started_at", Cell.later(seconds: -1), breaks: history),
                Cell(table, "finished_at", Cell.later(seconds: 1), breaks: history),
                Cell(table, "duration_ms", Cell.add(1), breaks: history),
                Cell(table, "environment", Cell.set("other"), breaks: history),
                Cell(table, "task_index", Cell.set(-1), breaks: history),
                Cell(table, "attempt", Cell.set(-1), breaks: history),
                Cell(table, "failures", Cell.set(.strings([])), where: failed, breaks: history),
                Cell(table, "failures", Cell.set(.strings(["acme: x"])), where: succeeded, breaks: history),
            ],
            leftOut: [
                "execution": "Cloud Run's name of the run", "counts": "numbers for people", "version": "of the program",
            ])
    }()

    private static let rollouts = {
        let (table, rollouts) = ("scheduler_jobs.rollouts", ServiceInspection.rollouts)
        func cell(_ column: String, _ value: Cell.Value, _ rows: String = "TRUE") -> Cell {
            Cell(table, column, value, where: rows, breaks: rollouts)
        }
        return CellTable(
            name: table,
            cells: [
                cell("number", Cell.set(0)), cell("task_index", Cell.set(5)), cell("task_count", Cell.set(0)),
                cell("waves", Cell.set("1,2")), cell("wave", Cell.set(0)), cell("state", Cell.set("paused")),
                cell("state", Cell.set("running"), "state = 'halted'"),
                cell("state", Cell.set("finished"), "state = 'halted'"),
                cell("state", Cell.set("halted"), "state = 'running'"),
                cell("reason", Cell.set("x"), "state = 'running'"),
                cell("reason", Cell.set(.null(.string)), "state = 'halted'"), cell("remaining", Cell.set(-1)),
                cell("started_at", Cell.later(days: 1)), cell("wave_started_at", Cell.later(days: 1)),
                cell("wave_started_at", Cell.later(days: -1)), cell("updated_at", Cell.later(days: 1)),
                cell("updated_at", Cell.later(days: -2)),
            ],
            leftOut: [
                "catalog": "the name of the rollout", "execution": "Cloud Run's name of the run",
                "failures": "counts for --max-failures",
            ])
    }()

    private static let verifications = {
        let (table, chain) = ("scheduler_jobs.verifications", VerificationChain.invariant)
        let texts = ["verdict", "results", "execution", "version", "previous", "digest"]
        return CellTable(
            name: table,
            cells: texts.map { Cell(table, $0, Cell.set("other"), breaks: chain) }
                + ["instant", "verified_at"].map { Cell(table, $0, Cell.later(seconds: 1), breaks: chain) }
                + [
                    Cell(table, "number", Cell.add(10), breaks: chain),
                    Cell(table, "execution", Cell.set(.null(.string)), where: "execution IS NOT NULL", breaks: chain),
                    Cell(table, "previous", Cell.set(.null(.string)), where: "number = 2", breaks: chain),
                    Cell(table, "previous", Cell.set(""), where: "number = 1", breaks: chain),
                ], leftOut: [:])
    }()
}
