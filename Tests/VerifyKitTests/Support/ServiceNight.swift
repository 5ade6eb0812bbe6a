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

/// A night of the service around a midnight: the API service reserves, logs and ends runs, some of which die; the jobs run on their
/// schedules under leases, and some are killed and run again; plans change; the queue is filled and worked off.
///
/// The night follows from its seed. So a second one, as far as an earlier instant, is the past of the first one.
final class ServiceNight {
    static let slugs = ["acme", "globex", "initech"]

    let warehouse: any Warehouse
    private(set) var now: Timestamp
    private var random: SplitMix64
    private var events: [(time: Timestamp, order: Int, event: Event)] = []
    private var order = 0
    /// What happened, for the message of a failing test.
    private(set) var counts: [String: Int] = [:]

    enum Event {
        case reserve(String)
        case log(Run)
        case end(Run, status: String)
        case count(Run, status: String)
        case stale(attempt: Int)
        case reset(attempt: Int)
        case retry
        case plan(String)
    }

    struct Run: Hashable {
        var id: String
        var slug: String
        var reserved: Timestamp
    }

    init(seed: UInt64) async throws {
        let start = instant(["2026-04-30T21:57:00Z", "2026-12-31T21:57:00Z", "2026-06-10T21:57:00Z"][Int(seed % 3)])
        now = start
        random = SplitMix64(seed: seed)
        warehouse = try await Backend.embedded.warehouse("night").bootstrapped()
        try await found()
        schedule(hours: 7)
    }

    private func found() async throws {
        let longAgo = now.adding(.seconds(-86_400 * 60))
        try await warehouse.insert(
            into: "organizations.org_profiles",
            Self.slugs.map {
                [
                    "org_slug": .string($0), "org_dataset_id": .string("\($0)_data"), "status": "ACTIVE",
                    "created_at": .timestamp(longAgo),
                ]
            })
        try await warehouse.insert(
            into: "organizations.org_subscriptions",
            Self.slugs.map {
                [
                    "subscription_id": .string("row_\($0)"), "org_slug": .string($0), "status": "ACTIVE",
                    "plan_name": "STARTER", "daily_limit": 5, "created_at": .timestamp(longAgo),
                ]
            })
        try await OrganizationSync(
            sql: warehouse, schema: warehouse, catalog: Catalog.embedded([.organization]), environment: .test,
            report: ReportFixture().report
        ).run(only: [])
        let start = now
        try await QuotaReset(warehouse: warehouse, report: ReportFixture().report, clock: { start }).openDay(at: start)
    }

    private func add(_ event: Event, at time: Timestamp) {
        order += 1
        events.append((time, order, event))
    }

    private func schedule(hours: Int) {
        let start = now
        for minute in 0..<(hours * 60) {
            let time = start.adding(.seconds(60 * minute))
            let ofHour = Int(time.microseconds / 60_000_000 % 60)
            if ofHour.isMultiple(of: 15) { add(.stale(attempt: 0), at: time.adding(.seconds(4))) }
            if ofHour.isMultiple(of: 5) { add(.retry, at: time.adding(.seconds(2))) }
            for slug in Self.slugs where Int.random(in: 0..<20, using: &random) == 0 {
                add(.reserve(slug), at: time.adding(.seconds(Int.random(in: 0..<60, using: &random))))
            }
            if Int.random(in: 0..<60, using: &random) == 0 {
                add(.plan(Self.slugs.randomElement(using: &random)!), at: time.adding(.seconds(31)))
            }
        }
        add(.reset(attempt: 0), at: Timestamp(startOf: start.date.adding(days: 1)).adding(.seconds(5)))
    }

    /// Does everything up to an instant.
    func advance(to time: Timestamp) async throws {
        while let next = events.min(by: { ($0.time, $0.order) < ($1.time, $1.order) }), next.time <= time {
            events.removeAll { $0.order == next.order }
            now = next.time
            try await perform(next.event)
        }
        now = time
    }

    /// The time of the next event at which something is half done: reserved and not logged, ended and not counted, or killed.
    var nextMoment: Timestamp {
        events.filter { if case .count = $0.event { false } else { true } }.map(\.time).min() ?? now
    }

    private func perform(_ event: Event) async throws {
        switch event {
        case .reserve(let slug): try await reserve(slug)
        case .log(let run): try await log(run)
        case .end(let run, let status): try await end(run, status)
        case .count(let run, let status): try await count(run, status)
        case .stale(let attempt):
            try await job("stale-cleanup", attempt) { sql, _, now in
                let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
                try await StaleRunCleaner(warehouse: sql, report: ReportFixture().report, logger: quiet).clean(
                    now.date, at: now)
            }
        case .reset(let attempt):
            try await job("quota-reset-daily", attempt) { sql, fence, now in
                try await QuotaReset(warehouse: sql, fence: fence, report: ReportFixture().report, clock: { now })
                    .openDay(at: now)
            }
        case .retry: try await retry()
        case .plan(let slug): try await changePlan(of: slug)
        }
    }
}

// MARK: - The API service

extension ServiceNight {
    private func update(_ run: Run, _ changes: String) async throws -> Int64 {
        try await warehouse.run(
            "UPDATE `organizations.org_usage_quotas` SET \(changes) WHERE org_slug = @slug AND usage_date = @day",
            ["slug": .string(run.slug), "day": .date(run.reserved.date)]
        ).affectedRows ?? 0
    }

    /// A run reaches its row, and the log a second later; few never do.
    private func reserve(_ slug: String) async throws {
        let run = Run(id: "run_\(order)", slug: slug, reserved: now)
        let (isLost, minutes) = (Int.random(in: 0..<30, using: &random) == 0, Int.random(in: 1...45, using: &random))
        let fate = Int.random(in: 0..<12, using: &random)
        order += 1
        guard try await update(run, "concurrent_pipelines_running = concurrent_pipelines_running + 1") == 1 else {
            return
        }
        counts[isLost ? "lost" : "reserved", default: 0] += 1
        guard !isLost else { return }
        add(.log(run), at: now.adding(.seconds(1)))
        // One in twelve dies and hangs in the log.
        guard fate > 0 else { return }
        let status = ["COMPLETED", "COMPLETED", "FAILED", "CANCELLED"][fate % 4]
        add(.end(run, status: status), at: now.adding(.seconds(60 * minutes)))
    }

    private func log(_ run: Run) async throws {
        try await warehouse.insert(
            into: "organizations.org_meta_pipeline_runs",
            [
                [
                    "pipeline_logging_id": .string(run.id), "org_slug": .string(run.slug), "status": "RUNNING",
                    "start_time": .timestamp(run.reserved), "created_at": .timestamp(now),
                ]
            ])
    }

    private func end(_ run: Run, _ status: String) async throws {
        try await warehouse.run(
            "UPDATE `organizations.org_meta_pipeline_runs` SET status = @status, end_time = @now WHERE pipeline_logging_id = @id",
            ["status": .string(status), "now": .timestamp(now), "id": .string(run.id)])
        add(.count(run, status: status), at: now.adding(.seconds(1)))
    }

    private func count(_ run: Run, _ status: String) async throws {
        var changes = "concurrent_pipelines_running = GREATEST(concurrent_pipelines_running - 1, 0)"
        if status == "COMPLETED" {
            for counter in ["current_daily_pipelines", "current_monthly_pipelines", "pipelines_succeeded_today"] {
                changes += ", \(counter) = \(counter) + 1"
            }
        }
        if status == "FAILED" { changes += ", pipelines_failed_today = pipelines_failed_today + 1" }
        counts[status, default: 0] += 1
        _ = try await update(run, changes)
    }
}

// MARK: - The jobs

extension ServiceNight {
    /// Runs a job under its lease. One in five first attempts is killed, and the second attempt of the task follows.
    private func job(
        _ name: String, _ attempt: Int,
        _ work: @escaping (_ sql: any SQLWarehouse, _ fence: LeaseFence, _ now: Timestamp) async throws -> Void
    ) async throws {
        let (isKilled, statement) = (Int.random(in: 0..<5, using: &random) == 0, Int.random(in: 0..<4, using: &random))
        let start = now
        let waited = Mutex(Duration.zero)
        let lease = JobLease(
            warehouse: warehouse, job: name, holder: "\(name)-\(start.microseconds / 900_000_000)/0/\(attempt)",
            validity: .seconds(660), report: ReportFixture().report,
            now: { waited.withLock { start.adding($0) } }, sleep: { time in waited.withLock { $0 += time } })
        do {
            try await lease.acquire()
        } catch is RunSkipped {
            return
        }
        let begin = waited.withLock { start.adding($0) }
        if attempt == 0, isKilled {
            counts["killed", default: 0] += 1
            _ = try? await work(FaultyWarehouse(warehouse, .killedDuring(statement)), lease.fence, begin)
            add(name == "stale-cleanup" ? .stale(attempt: 1) : .reset(attempt: 1), at: now.adding(.seconds(30)))
            return
        }
        try await work(lease.sql, lease.fence, begin)
        await lease.release()
        let history = RunHistory(job: name, task: CloudRunTask(), environment: "test", startedAt: begin)
        _ = try await warehouse.query(
            history.statement(ReportFixture().report.outcome(isStopped: false), finishedAt: begin.adding(.seconds(2))))
        counts[name, default: 0] += 1
    }

    /// billing-sync-retry without Stripe: events name organizations, items are claimed and end in one way or another.
    private func retry() async throws {
        let start = now
        let (isKilled, isNamed) = (
            Int.random(in: 0..<6, using: &random) == 0, Int.random(in: 0..<3, using: &random) == 0
        )
        let slug = Self.slugs.randomElement(using: &random)!
        let ending = Int.random(in: 0..<4, using: &random)
        let metered = MeteredWarehouse(warehouse, ReportFixture().report)
        let queue = SyncQueue(warehouse: metered, now: { start })
        let due = try await EventCursor(warehouse: metered, now: { start }).advance(
            to: start.adding(.seconds(-600)),
            queueing: isNamed ? [.init(slug: slug, type: "event", knownAfter: start.adding(.seconds(-60)))] : [])
        for claim in [SyncQueue.Claim.pending(100), .oneAbandoned] where due.pending + due.abandoned > 0 {
            let token = claim.newToken()
            let items = try await queue.claim(claim, token: token, lease: .seconds(900))
            if isKilled, !items.isEmpty {
                counts["killed retries", default: 0] += 1
                return
            }
            let problem = BillingProblem("Stripe is down", isPermanent: ending == 1)
            try await queue.finish(
                items.map { ending < 2 ? .failedTry($0, problem, at: start, jitter: 0) : .completed($0) }, token: token)
        }
        let history = RunHistory(job: "billing-sync-retry", task: CloudRunTask(), environment: "test", startedAt: start)
        _ = try await warehouse.query(
            history.statement(ReportFixture().report.outcome(isStopped: false), finishedAt: start.adding(.seconds(1))))
    }

    private func changePlan(of slug: String) async throws {
        let start = now
        let limit = Int64.random(in: 5...50, using: &random)
        let metered = MeteredWarehouse(warehouse, ReportFixture().report)
        let state = try await BillingState.read(metered, today: start.date, slugs: [slug])
        guard let stored = state.organizations[slug] else { return }
        var values = stored.values
        (values.plan, values.limits.daily, values.limits.monthly) = ("PLAN_\(limit)", limit, limit * 30)
        (values.subscription, values.customer) = ("sub_\(slug)", "cus_\(slug)")
        let time = ReadTime(from: start, until: start.adding(.milliseconds(5)))
        guard let change = try BillingChange(values, stored, read: time, reason: "event") else { return }
        var written = BillingWriter.Written()
        let writer = BillingWriter(warehouse: metered, today: start.date, now: { start.adding(.milliseconds(9)) })
        try await writer.apply([change], into: &written)
        counts["plans", default: 0] += written.applied.count
    }
}

/// A night with its past: the same night, as far as an earlier instant, answers statements about that instant. It does not go back. So
/// the looks of the first inspection, that of the quotas, see exactly the instants that they ask for, and those of the others see
/// the latest one of them.
struct RememberingWarehouse: SQLWarehouse, @unchecked Sendable {
    let present: ServiceNight
    let past: ServiceNight

    func query(_ statement: Statement) async throws -> QueryResult {
        for parameter in statement.parameters where parameter.name == "instant" {
            guard case .timestamp(let asked) = parameter.value, asked < present.now else { continue }
            if past !== present, past.now < asked { try await past.advance(to: asked) }
            return try await past.warehouse.query(statement)
        }
        return try await present.warehouse.query(statement)
    }

    func merge(_ merge: MergeStatement) async throws -> MergeResult { try await present.warehouse.merge(merge) }
}
