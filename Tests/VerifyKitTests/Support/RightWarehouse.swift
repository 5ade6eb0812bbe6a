import Foundation
import HTTPTransport
import JobRuntime
import Logging
import QuotaKit
import Synchronization
import TestSupport
import Warehouse

@testable import BillingKit
@testable import SchemaKit
@testable import VerifyKit
@testable import WarehouseKit

/// A warehouse in which the real jobs have done their work, as of a night. Every invariant holds in it.
struct RightWarehouse {
    static let slugs = ["acme", "globex", "initech"]
    /// Three in the morning, when `verify` runs.
    static let night = instant("2026-03-15T03:00:00Z")

    let warehouse: any Warehouse
    private let clock: TickingClock

    /// - Parameter tenants: Whether each organization gets its dataset.
    init(_ backend: Backend = .embedded, _ project: String = "verify-right", tenants: Bool = true) async throws {
        warehouse = try await backend.warehouse(project).bootstrapped()
        clock = TickingClock(instant("2026-03-15T02:00:00Z"))
        try await addOrganizations()
        if tenants { try await syncSchemas() }
        try await addRuns()
        try await syncBilling()
        try await openDays()
        try await fillQueue()
        try await takeLeases()
        try await addHistory()
        try await addRollout()
        try await addVerifications()
    }

    private static let longAgo = instant("2025-06-01T00:00:00Z")

    private func addOrganizations() async throws {
        try await warehouse.insert(
            into: "organizations.org_profiles",
            Self.slugs.map {
                [
                    "org_slug": .string($0), "org_dataset_id": .string("\($0)_data"), "status": "ACTIVE",
                    "subscription_plan": "OLD", "created_at": .timestamp(Self.longAgo),
                    "updated_at": .timestamp(Self.longAgo),
                ]
            } + [["org_slug": "umbrella", "org_dataset_id": "", "status": "SUSPENDED"]])
        try await warehouse.insert(
            into: "organizations.org_subscriptions",
            Self.slugs.map {
                [
                    "subscription_id": .string("row_\($0)"), "org_slug": .string($0), "plan_name": "OLD",
                    "status": "TRIAL", "daily_limit": 1, "monthly_limit": 1, "concurrent_limit": 1,
                    "created_at": .timestamp(Self.longAgo),
                ]
            })
    }

    private func syncSchemas() async throws {
        try await OrganizationSync(
            sql: warehouse, schema: warehouse, catalog: Catalog.embedded([.organization]), environment: .test,
            report: ReportFixture().report
        ).run(only: [])
    }

    /// Runs of the month, of the last days and of this night; of each organization another number.
    private func addRuns() async throws {
        let runs: [(start: String, minutes: Int?, status: String)] = [
            ("2026-03-02T10:00:00Z", 10, "COMPLETED"), ("2026-03-13T10:00:00Z", 10, "SUCCEEDED"),
            ("2026-03-13T11:00:00Z", 5, "FAILED"), ("2026-03-14T08:00:00Z", 30, "COMPLETED"),
            ("2026-03-14T09:00:00Z", 30, "TIMEOUT"), ("2026-03-14T09:30:00Z", 30, "CANCELLED"),
            ("2026-03-15T00:30:00Z", 20, "COMPLETED"), ("2026-03-15T01:00:00Z", 10, "FAILED"),
            ("2026-03-15T02:20:00Z", nil, "RUNNING"), ("2026-03-15T02:25:00Z", nil, "PENDING"),
        ]
        let rows = Self.slugs.enumerated().flatMap { number, slug in
            runs.dropFirst(number).enumerated().map { index, run -> [String: SQLValue] in
                let start = instant(run.start)
                return [
                    "pipeline_logging_id": .string("run_\(index)"), "org_slug": .string(slug),
                    "status": .string(run.status), "start_time": .timestamp(start),
                    "end_time": run.minutes.map { .timestamp(start.adding(.seconds(60 * $0))) } ?? .null(.timestamp),
                    "created_at": .timestamp(start),
                ]
            }
        }
        try await warehouse.insert(into: "organizations.org_meta_pipeline_runs", rows)
    }

    private func openDays() async throws {
        for (day, minutes) in [("2026-03-13", 0), ("2026-03-14", 1), ("2026-03-15", 2)] {
            let clock = instant("2026-03-15T02:40:00Z").adding(.seconds(60 * minutes))
            try await QuotaReset(warehouse: warehouse, report: ReportFixture().report, clock: { clock })
                .openDay(at: instant("\(day)T00:00:00Z"))
        }
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let now = instant("2026-03-15T02:45:00Z")
        try await StaleRunCleaner(warehouse: warehouse, report: ReportFixture().report, logger: quiet)
            .clean(now.date, at: now)
    }

    private func syncBilling() async throws {
        // Before the days whose rows are checked, because an organization that changed on a day needs no row of it.
        let clock = TickingClock(instant("2026-03-12T02:00:00Z"))
        let stripe = try ScriptedServer(StripeAccount.answer)
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let client = StripeClient(
            baseURL: stripe.url, key: Secret("rk_test_fixture0001"), mode: .test, requestsPerSecond: 100,
            transport: CurlTransport(), time: LeapingClock().time, now: clock.now, logger: quiet)
        let report = ReportFixture()
        try await BillingReconciliation(
            stripe: client, warehouse: warehouse, today: clock.now().date, report: report.report, logger: quiet,
            now: clock.now
        ).run(cancelMissing: nil)
        precondition(report.failures.isEmpty && report["synced"] == Self.slugs.count)
    }

    private func fillQueue() async throws {
        let metered = MeteredWarehouse(warehouse, ReportFixture().report)
        let queue = SyncQueue(warehouse: metered, now: clock.now)
        // One is finished, one waits for its retry, one has failed, one is at work and one was just queued.
        _ = try await queue.add(["acme", "globex", "initech"])
        let items = try await queue.claim(.pending(10), token: "token-1", lease: .seconds(900))
        let now = clock.now()
        try await queue.finish(
            [
                .completed(items[0]),
                .failedTry(items[1], BillingProblem("Stripe is down", isPermanent: false), at: now, jitter: 0),
                .failedTry(items[2], BillingProblem("no such thing", isPermanent: true), at: now, jitter: 0),
            ], token: "token-1")
        _ = try await queue.addClaimed(["acme"], token: "token-2", lease: .seconds(3000))
        try await queue.enqueue("initech", why: nil)
        _ = try await EventCursor(warehouse: metered, now: clock.now)
            .advance(
                to: instant("2026-03-15T02:00:00Z"), queueing: [],
                gap: .init(since: Self.longAgo, recordedAt: clock.now()))
        precondition(items.count == 3)
    }

    /// One lease is free, one is held, and one is kept for a statement that may still be running.
    private func takeLeases() async throws {
        for (job, end) in [
            ("quota-reset-daily", "free"), ("billing-sync-reconcile", "held"), ("stale-cleanup", "kept"),
        ] {
            let lease = JobLease(
                warehouse: warehouse, job: job, holder: "execution-1/0/0", validity: .seconds(3600),
                report: ReportFixture().report, now: clock.now)
            try await lease.acquire()
            if end == "free" { await lease.release() }
            guard end == "kept" else { continue }
            await lease.release()
            try await keepLease(of: job)
        }
    }

    private func keepLease(of job: String) async throws {
        let statements = LeaseStatements(jobs: [job], holder: "\(job) execution-2/0/0", token: "token-kept")
        let now = clock.now()
        _ = try await warehouse.query(statements.take(at: now, until: now.adding(.seconds(600))))
        let end = clock.now()
        _ = try await warehouse.query(statements.keep("token-kept", at: end, until: end.adding(JobLease.grace)))
    }

    /// One success of each scheduled job within its period, one failure, and a history that is longer than any period.
    private func addHistory() async throws {
        let starts = [
            ("quota-cleanup", "2026-01-27T01:00:00Z"), ("quota-reset-daily", "2026-03-15T00:00:00Z"),
            ("quota-reset-monthly", "2026-03-01T00:05:00Z"), ("stale-cleanup", "2026-03-15T02:45:00Z"),
            ("quota-cleanup", "2026-03-15T01:00:00Z"), ("billing-sync-retry", "2026-03-15T02:55:00Z"),
            ("billing-sync-reconcile", "2026-03-15T02:00:00Z"),
        ]
        for (job, start) in starts { try await addRun(of: job, at: instant(start), isFailure: false) }
        try await addRun(of: "org-sync-all", at: instant("2026-03-14T12:00:00Z"), isFailure: true)
    }

    private func addRun(of job: String, at start: Timestamp, isFailure: Bool) async throws {
        let report = ReportFixture()
        if isFailure { report.report.fail("acme", "the dataset is in EU") }
        let history = RunHistory(job: job, task: CloudRunTask(), environment: "test", startedAt: start)
        _ = try await warehouse.query(
            history.statement(report.report.outcome(isStopped: false), finishedAt: start.adding(.milliseconds(1234))))
    }

    /// Two tasks of a rollout: one is at work, one was halted.
    private func addRollout() async throws {
        for (index, name) in [(0, Rollout.State.Name.running), (1, .halted)] {
            var state = Rollout.State(
                number: 1, waves: "1,all", index: Int64(index), count: 2,
                startedAt: instant("2026-03-15T01:00:00Z"), waveStartedAt: instant("2026-03-15T01:30:00Z"))
            state.name = name
            state.reason = name == .halted ? "5 organizations failed" : nil
            let rollout = Rollout(
                sql: warehouse, catalog: "3f9a1c07", plan: WavePlan(sizes: [1, nil]), task: CloudRunTask(),
                tally: FailureTally(limit: 5), report: ReportFixture().report,
                command: RunCommand(job: "org-sync-all", environment: nil),
                now: clock.now, sleep: { _ in })
            _ = try await warehouse.merge(rollout.saving(state))
        }
    }

    /// The results of three nights.
    private func addVerifications() async throws {
        let chain = VerificationChain(warehouse: MeteredWarehouse(warehouse, ReportFixture().report), fence: nil)
        for day in 12...14 {
            let night = instant("2026-03-\(day)T03:00:00Z")
            try await chain.append(
                Verification(
                    after: try await chain.latest().first, instant: night, verifiedAt: night.adding(.seconds(9)),
                    verdict: "holds", results: "[]", execution: day == 13 ? nil : "verify-\(day)"))
        }
    }

    /// What a run of `verify` says.
    func verify(
        at night: Timestamp = night, on other: (any Warehouse)? = nil, isDryRun: Bool = true
    ) async throws -> ReportFixture {
        let fixture = ReportFixture()
        let target = other ?? warehouse
        try await Attestation(
            sql: target, schema: target, fence: nil,
            expectations: Expectations(
                catalog: try Catalog.embedded(Catalog.Group.allCases), environment: .test, location: "US"),
            execution: nil, report: fixture.report, isDryRun: isDryRun, now: { night.adding(.seconds(20)) }
        ).perform(at: night)
        return fixture
    }
}

extension ReportFixture {
    /// The names of the invariants that failed.
    var broken: Set<String> { Set(failures.map(\.subject)) }
}

/// A clock that moves on by a millisecond whenever it is read.
final class TickingClock: Sendable {
    private let time: Mutex<Timestamp>

    init(_ start: Timestamp) { time = Mutex(start) }

    var now: @Sendable () -> Timestamp {
        { [self] in
            time.withLock { time in
                time = time.adding(.milliseconds(1))
                return time
            }
        }
    }
}

/// A Stripe account with one subscription of each organization.
enum StripeAccount {
    static func answer(_ request: ScriptedRequest) -> ScriptedReply {
        let subscriptions = RightWarehouse.slugs.map { slug in
            """
            {"id": "sub_\(slug)", "object": "subscription", "customer": "cus_\(slug)", "status": "active", "created": 1700000000,
             "metadata": {"org_slug": "\(slug)"}, "cancel_at_period_end": true, "trial_end": 1700000000, "ended_at": null,
             "cancel_at": null, "items": {"object": "list", "has_more": false, "data": [{"id": "si_\(slug)",
             "current_period_end": 1900000000, "price": {"id": "price_1", "product": "prod_1"}}]}}
            """
        }
        let objects =
            switch request.path {
            case "/v1/subscriptions": subscriptions
            case "/v1/products":
                [
                    #"{"id": "prod_1", "metadata": {"plan_id": "starter", "teamMembers": "2", "providers": "3", "pipelinesPerDay": "9"}}"#
                ]
            case "/v1/prices": [#"{"id": "price_1", "product": "prod_1"}"#]
            default: [String]()
            }
        return .json(#"{"object": "list", "has_more": false, "data": [\#(objects.joined(separator: ", "))]}"#)
    }
}
