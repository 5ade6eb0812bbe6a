import EmbeddedWarehouse
import Foundation
import JobRuntime
import SchemaKit
import Warehouse
import WarehouseKit

/// The invariants after a night, in SQL and code of the simulation's own. What they compare with is what the world itself remembers:
/// the runs of its customers, its Stripe, its releases.
extension World {
    private struct Finding {
        var name: String
        var holds: Bool
        var text: String
    }

    /// A night may excuse a job that reported its failure. After so many nights in a row nothing is excused.
    static let mostExcusedNights = 2

    func closeNight(_ day: Int, _ date: CivilDate) async throws {
        let findings = [
            try await finding("counters", { try await wrongCounters(date) }),
            try await finding("billing", { try await wrongSubscriptions() }),
            try await finding("queue", { try await wrongItems() }),
            try await finding("audit", { try await wrongAudits() }),
            try await finding("schemas", { try await wrongSchemas() }),
            try await finding("leases", { try await wrongLeases() }),
            try await finding("run log", { try await wrongRuns() }),
        ]
        story.add(
            "night", at: machine.now,
            [
                (
                    "invariants",
                    .array(
                        findings.map {
                            .object(["name": .string($0.name), "holds": .bool($0.holds), "text": .string($0.text)])
                        })
                )
            ],
            text: "night: "
                + findings.map { $0.holds ? "\($0.name) ok" : "\($0.name) BROKEN: \($0.text)" }.joined(separator: ", "))
        if let broken = findings.first(where: { !$0.holds }), violation == nil {
            violate(broken.name, broken.text, day)
        }
    }

    func violate(_ invariant: String, _ text: String, _ day: Int? = nil) {
        guard violation == nil else { return }
        violation = Violation(invariant: invariant, text: text, day: day ?? counts.days, at: Story.stamp(machine.now))
    }

    private func finding(_ name: String, _ problems: () async throws -> (broken: [String], seen: String)) async throws
        -> Finding
    {
        let (broken, seen) = try await problems()
        return Finding(
            name: name, holds: broken.isEmpty, text: broken.isEmpty ? seen : broken.prefix(3).joined(separator: "; "))
    }

    /// Whether a job did its work since a time, or may be excused.
    ///
    /// - Returns: `nil` if it did its work. Otherwise the reason, and whether it is an excuse: the scheduler did not start the job, or
    ///   a run reported its failure, for the first few nights in a row.
    func excuse(_ job: String, since: Timestamp) -> (isExcuse: Bool, text: String)? {
        if let success = lastSuccess[job], success >= since {
            failedNights[job] = 0
            return nil
        }
        if let missed = lastMissed[job], missed >= since { return (true, "the scheduler did not start \(job)") }
        let nights = failedNights[job, default: 0] + 1
        failedNights[job] = nights
        guard let failure = lastFailure[job], failure >= since else {
            return (false, "\(job) did not do its work, and no run reported that")
        }
        return (nights <= Self.mostExcusedNights, "\(job) reported its failure in \(nights) nights in a row")
    }

    // MARK: Counters

    /// Decision: a row's counters follow from the run log, in the sense of the service that enforces them.
    private func wrongCounters(_ date: CivilDate) async throws -> (broken: [String], seen: String) {
        if let (isExcuse, text) = excuse("quota-reset-daily", since: Timestamp(startOf: date)) {
            return (isExcuse ? [] : [text], "excused: \(text)")
        }
        var broken: [String] = []
        let reset = lastSuccess["quota-reset-daily"]!
        // A subscription that became live after the reset has a row when its customer reserves the first run.
        let served = try await read(
            """
            SELECT s.org_slug AS slug, MAX(s.daily_limit) AS daily_limit FROM `organizations.org_subscriptions` AS s
            JOIN `organizations.org_profiles` AS p ON p.org_slug = s.org_slug
            WHERE s.status IN ('ACTIVE', 'TRIAL') AND p.status = 'ACTIVE' AND s.created_at < @reset
              AND IFNULL(s.updated_at, s.created_at) < @reset
            GROUP BY s.org_slug ORDER BY s.org_slug
            """, ["reset": .timestamp(reset)])
        let rows = try await read(
            """
            SELECT org_slug, usage_date, current_daily_pipelines AS daily, current_monthly_pipelines AS monthly,
              pipelines_succeeded_today AS succeeded, concurrent_pipelines_running AS concurrent, daily_limit
            FROM `organizations.org_usage_quotas` WHERE usage_date >= @first ORDER BY org_slug, usage_date
            """, ["first": .date(date.adding(days: -1))])
        for row in served {
            let slug = try row.string("slug")
            let own = try rows.filter {
                try $0.string("org_slug") == slug && $0.dateText("usage_date") == date.description
            }
            if own.count != 1 { broken.append("\(slug) has \(own.count) rows of \(date)") }
            let (limit, wanted) = (try own.first?.int64("daily_limit"), try row.int64("daily_limit"))
            if let limit, limit != wanted {
                broken.append("\(slug) may run \(limit) a day, and its subscription says \(wanted)")
            }
        }
        let slugs = Set(try served.map { try $0.string("slug") })
        for row in rows {
            let slug = try row.string("org_slug")
            let day = CivilDate(row.dateText("usage_date"))!
            broken += try counterProblems(row, slug, day, isServed: day == date && slugs.contains(slug), reset)
        }
        return (broken, "\(rows.count) rows equal the run log")
    }

    private func counterProblems(
        _ row: Row, _ slug: String, _ day: CivilDate, isServed: Bool, _ reset: Timestamp
    ) throws -> [String] {
        var problems: [String] = []
        func check(_ name: String, _ range: ClosedRange<Int>) throws {
            let value = Int(try row.int64(name))
            if !range.contains(value) {
                let text =
                    range.lowerBound == range.upperBound
                    ? "\(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
                problems.append("\(slug) \(day): \(name) is \(value), and the run log gives \(text)")
            }
        }
        let own = runs.filter { $0.organization == slug }
        let ofDay = own.filter { $0.day == day }
        let successes = ofDay.filter(\.hasSucceeded)
        // A pipeline that died before it was counted is missing until the row is recounted.
        let lost = successes.filter { !$0.isCounted }.count
        try check("daily", (successes.count - lost)...successes.count)
        try check("succeeded", (successes.count - lost)...successes.count)
        if isServed {
            let month = own.filter { $0.hasSucceeded && $0.day <= day && $0.day.firstOfMonth == day.firstOfMonth }
            // What ended after the reset and began on an earlier day is in the rows of those days only.
            let sure = month.filter { $0.day == day ? $0.isCounted : $0.endedAt! < reset }
            try check("monthly", sure.count...max(month.count, sure.count))
        }
        let cleaned = lastSuccess["stale-cleanup"] ?? Timestamp(microseconds: 0)
        let fresh = machine.now.adding(.seconds(-3600))
        let least = ofDay.filter { $0.isOpen && $0.startedAt >= fresh }.count
        let most = ofDay.filter { run in
            if run.isOpen { return run.startedAt >= cleaned.adding(.seconds(-3600)) }
            return !run.isCounted && run.endedAt! >= cleaned
        }.count
        if cleaned < machine.now.adding(.seconds(-6 * 3600)) {
            problems.append("stale-cleanup did not succeed since \(Story.stamp(cleaned))")
        } else {
            try check("concurrent", least...max(least, most))
        }
        return problems
    }

    /// A run that crashed is FAILED at the latest when stale-cleanup has succeeded after its hour.
    private func wrongRuns() async throws -> (broken: [String], seen: String) {
        let cleaned = lastSuccess["stale-cleanup"] ?? Timestamp(microseconds: 0)
        let rows = try await read(
            """
            SELECT pipeline_logging_id AS id FROM `organizations.org_meta_pipeline_runs`
            WHERE status IN ('PENDING', 'RUNNING', 'CANCELLING') AND start_time < @limit
            """, ["limit": .timestamp(cleaned.adding(.seconds(-3605)))])
        let left = try rows.map { "\(try $0.string("id")) is open although stale-cleanup succeeded after its hour" }
        var broken = left
        let wrong = try await read(
            """
            SELECT pipeline_logging_id AS id, status FROM `organizations.org_meta_pipeline_runs`
            WHERE status = 'FAILED' AND error_message LIKE '%marked as failed by stale-cleanup'
              AND UNIX_MICROS(end_time) - UNIX_MICROS(start_time) < 3600000000
            """)
        for row in wrong { broken.append("\(try row.string("id")) was marked as failed within its hour") }
        return (broken, "\(runs.count { $0.end == .crashed }) crashed runs are ended or younger than an hour")
    }

    // MARK: Schemas and leases

    private func wrongSchemas() async throws -> (broken: [String], seen: String) {
        var broken: [String] = []
        var compared = 0
        func compare(_ dataset: DatasetID, _ tables: [NamedTable]) async throws {
            for table in tables {
                compared += 1
                guard let reference = TableReference(dataset, table.name),
                    let actual = try await machine.outside({ try await bigQuery.warehouse.table(reference) })
                else {
                    broken.append("\(dataset).\(table.name) is missing")
                    continue
                }
                let names = Set(actual.schema.fields.map { $0.name.lowercased() })
                for field in table.table.schema.fields where !names.contains(field.name.lowercased()) {
                    broken.append("\(dataset).\(table.name) has no column \(field.name)")
                }
            }
        }
        if let synced = lastSuccess["org-sync-all"], synced > releasedAt {
            for organization in organizations
            where organization.isWritten && organization.signedUpAt < synced.adding(.seconds(-1)) {
                try await compare(DatasetID("\(organization.slug)_test")!, bigQuery.catalog.tables(.organization))
            }
        } else if machine.now > releasedAt.adding(.seconds(3 * 86_400)) {
            broken.append("org-sync-all did not succeed in three days after a release")
        }
        if let synced = lastSuccess["bootstrap-sync"], synced > releasedAt, release > 0 {
            try await compare(.organizations, bigQuery.catalog.tables(.organizations))
            try await compare(.schedulerJobs, bigQuery.catalog.tables(.operations))
        }
        return (broken, "\(compared) tables have the columns of catalog \(release)")
    }

    /// Nobody holds a lease for longer than it lasts, and a holder that is dead keeps others out no longer than that.
    private func wrongLeases() async throws -> (broken: [String], seen: String) {
        var broken: [String] = []
        let rows = try await read("SELECT job, holder, expires_at FROM `scheduler_jobs.job_leases` ORDER BY job")
        for row in rows {
            let job = try row.string("job")
            guard let holder = try row.optionalString("holder"), try row.timestamp("expires_at") > machine.now else {
                continue
            }
            let name = String(holder.split(separator: " ").last ?? "")
            let isAlive = executions.values.contains { "\($0.name)/0/\($0.key.attempt)" == name }
            let limit = Duration.seconds(Schedule.named(job).timeout + 60)
            if !isAlive, let died = ended[name]?.endedAt, died.adding(limit) < machine.now {
                broken.append("\(job) is held by \(holder), which ended at \(Story.stamp(died))")
            }
        }
        for schedule in Schedule.all where schedule.isExclusive && schedule.minutes.count > 20 {
            let last = lastSuccess[schedule.job] ?? .init(microseconds: 0)
            if last < machine.now.adding(.seconds(-3 * 3600)) {
                broken.append("\(schedule.job) worked last at \(Story.stamp(last))")
            }
        }
        return (broken, "\(rows.count) leases are free or held by the living")
    }

    /// An execution that was skipped for a lease names the holder, which must live, or be dead for no longer than its lease lasts.
    func checkSkip(_ execution: Execution) {
        guard execution.outcome == "skipped", let range = execution.headline.range(of: " is held by "),
            let holder = execution.headline[range.upperBound...].split(separator: ",").first?.split(separator: " ").last
        else { return }
        let other = ended[String(holder)]
        let limit = Duration.seconds(execution.schedule.timeout + 60)
        if let ended = other?.endedAt, ended.adding(limit) < machine.now {
            violate(
                "leases",
                "\(execution.name) \(execution.key.job) was skipped for \(holder), which ended at \(Story.stamp(ended))"
            )
        }
    }

    /// Two executions of an exclusive job never work at the same time.
    func noteStatement(_ sql: String, _ process: SimulatedMachine.ProcessID) {
        guard let execution = executions[process], execution.schedule.isExclusive,
            !execution.arguments.contains("--dry-run")
        else { return }
        // A statement on the leases or the history is none of the work. Those of the work name the leases in their fence at most.
        let first = sql.split(separator: "`", maxSplits: 2).dropFirst().first ?? ""
        if first.hasSuffix("job_leases"), sql.contains("acquired_at = NULL") { execution.hasWorked = false }
        guard !first.hasSuffix("job_leases"), !first.hasSuffix("job_runs"), !execution.hasWorked else { return }
        execution.hasWorked = true
        let others = executions.values.filter { $0 !== execution && $0.key.job == execution.key.job && $0.hasWorked }
        if let other = others.first {
            violate("leases", "\(execution.name) and \(other.name) of \(execution.key.job) work at the same time")
        }
    }
}

extension CivilDate {
    fileprivate var firstOfMonth: CivilDate { adding(days: 1 - day) }
}

extension Row {
    /// A DATE comes as such from a column, and as text from an expression.
    fileprivate func dateText(_ column: String) -> String {
        switch self[column] {
        case .date(let date): date.description
        case .string(let text): text
        default: ""
        }
    }
}
