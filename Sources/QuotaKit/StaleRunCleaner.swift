package import JobRuntime
package import Logging
package import Warehouse
import WarehouseKit

/// Marks crashed runs as failed, and recounts the counters that such runs leave behind.
///
/// Invariants:
/// - After one pass over a quiet run log, no run in the lookback is stale. Today's rows count exactly the runs in progress, and
///   the rows of the two days before count none.
/// - The failed runs of these days are recounted too, because marking a run changes their number.
/// - A row that is right already is not written. A pass without anything to repair only reads.
/// - If a pass is stopped anywhere, the next pass ends in the same state.
///
/// ```swift
/// let cleaner = StaleRunCleaner(warehouse: warehouse, report: report, logger: logger)
/// try await cleaner.clean(at: run.now)
/// ```
package struct StaleRunCleaner: Sendable {
    private let warehouse: MeteredWarehouse
    private let staleAfter: StaleAge
    private let lookbackDays: Int
    private let report: RunReport
    private let logger: Logger
    private let isDryRun: Bool

    package init(
        warehouse: any SQLWarehouse, staleAfter: StaleAge = StaleAge(minutes: 60), lookbackDays: Int = 7,
        report: RunReport, logger: Logger, isDryRun: Bool = false
    ) {
        self.warehouse = MeteredWarehouse(warehouse, report)
        self.staleAfter = staleAfter
        self.lookbackDays = lookbackDays
        self.report = report
        self.logger = logger
        self.isDryRun = isDryRun
    }

    package func clean(at now: Timestamp) async throws {
        report.declare(counts: "runs_marked_failed", "rows_changed", "bytes_billed")
        let statements = StaleRunStatements(
            day: QuotaDay(now.date), now: now, staleAfter: staleAfter, lookbackDays: lookbackDays)
        try await endStaleRuns(statements)
        try Task.checkCancellation()
        try await correctCounters(statements)
    }

    private func endStaleRuns(_ statements: StaleRunStatements) async throws {
        let stale = try await warehouse.query(statements.staleRuns).rows
        report.table(
            header: ["organization", "stale runs", "oldest start"],
            rows: try stale.map { row in
                [try row.string("org_slug"), String(try row.int64("runs")), try row.timestamp("oldest").description]
            })
        guard !isDryRun else {
            let runs = Int(try stale.reduce(0) { try $0 + $1.int64("runs") })
            report.add(runs, to: "runs_marked_failed")
            return report.line("would mark \(spoken(runs, "runs")) as failed")
        }
        guard !stale.isEmpty else { return }
        try Task.checkCancellation()
        report.add(try await change(statements.markAsFailed, "stale runs") ?? 0, to: "runs_marked_failed")
    }

    private func correctCounters(_ statements: StaleRunStatements) async throws {
        let wrong = try await warehouse.query(statements.wrongCounters).rows
        guard !isDryRun else {
            try wrong.forEach(note)
            report.add(wrong.count, to: "rows_changed")
            return report.line("would change \(spoken(wrong.count, "rows"))")
        }
        guard !wrong.isEmpty else { return }
        try Task.checkCancellation()
        guard let corrected = try await change(statements.correctCounters, "counters") else { return }
        report.add(corrected, to: "rows_changed")
        try wrong.forEach(note)
    }

    /// Returns how many rows were changed, or `nil` if BigQuery changes none yet. The pass goes on then.
    private func change(_ statement: Statement, _ subject: String) async throws -> Int? {
        do {
            return Int(try await warehouse.query(statement).affectedRows ?? 0)
        } catch let error as WarehouseError where error.concernsStreamedRows {
            report.fail(
                subject,
                "were not changed, because some rows were streamed a short while ago; a later pass corrects them")
            return nil
        }
    }

    private func note(_ row: Row) throws {
        try note("concurrent_pipelines_running", "running", of: row)
        try note("max_concurrent_reached", "highest", of: row)
        try note("pipelines_failed_today", "failed", of: row)
    }

    /// A column that was added to the table later has NULL in its older rows.
    private func note(_ counter: String, _ prefix: String, of row: Row) throws {
        let (old, new) = (try row.optionalInt64("\(prefix)_before"), try row.optionalInt64("\(prefix)_after"))
        guard old != new else { return }
        let (slug, date) = (try row.string("org_slug"), try row.date("usage_date"))
        let (oldText, newText) = (old.map(String.init) ?? "NULL", new.map(String.init) ?? "NULL")
        logger.notice(
            "\(slug) \(date): \(counter) \(isDryRun ? "would change " : "")\(oldText) -> \(newText)",
            metadata: [
                "org_slug": "\(slug)", "usage_date": "\(date)", "counter": "\(counter)",
                "old_value": value(old), "new_value": value(new),
            ])
    }

    private func value(_ number: Int64?) -> Logger.MetadataValue {
        number.map { .stringConvertible(Int($0)) } ?? "NULL"
    }
}

/// The statements that mark crashed runs as failed and recount the counters.
///
/// They read the run log from `log_start` on, in whole partitions of days.
struct StaleRunStatements: Sendable {
    let day: QuotaDay
    let now: Timestamp
    let staleAfter: StaleAge
    let lookbackDays: Int

    private var staleBefore: Timestamp { now.adding(.zero - staleAfter.duration) }
    private var logStart: QuotaDay { QuotaDay(day.date.adding(days: -lookbackDays)) }

    /// How many stale runs each organization has.
    var staleRuns: Statement {
        with("find the stale runs", Self.staleRunsSQL, [("log_start", .timestamp(logStart.start))] + stale)
    }

    /// A run that was marked is not stale any more, so a second execution finds none.
    var markAsFailed: Statement {
        let reason = " for more than \(staleAfter.minutes) minutes: marked as failed by stale-cleanup"
        return with(
            "mark the stale runs as failed", Self.markAsFailedSQL,
            [("log_start", .timestamp(logStart.start)), ("now", .timestamp(now)), ("reason", .string(reason))] + stale)
    }

    /// Returns the rows of the last three days whose counters differ from the run log, with both values. Stale runs count as
    /// failed, whether they have been marked or not.
    var wrongCounters: Statement { with("recount the running runs", Self.wrongCountersSQL, counters) }

    var correctCounters: Statement {
        with("correct the counters", Self.correctCountersSQL, counters + [("now", .timestamp(now))])
    }

    private var stale: [(String, SQLValue)] { [("stale_before", .timestamp(staleBefore))] }

    private var counters: [(String, SQLValue)] {
        let yesterday = QuotaDay(day.date.adding(days: -1))
        let dayBefore = QuotaDay(day.date.adding(days: -2))
        return [
            ("log_start", .timestamp(logStart.start)), ("log_first_day", .date(logStart.date)),
            ("today", .date(day.date)), ("yesterday", .date(yesterday.date)), ("first_day", .date(dayBefore.date)),
            ("today_start", .timestamp(day.start)), ("today_end", .timestamp(day.end)),
            ("yesterday_start", .timestamp(yesterday.start)), ("first_day_start", .timestamp(dayBefore.start)),
        ] + stale
    }

    private func with(_ purpose: String, _ sql: String, _ parameters: [(String, SQLValue)]) -> Statement {
        var statement = Statement(purpose, sql)
        statement.parameters = parameters.map { SQLValue.Field($0.0, $0.1) }
        return statement
    }
}

extension StaleRunStatements {
    private static let isStale = """
        start_time >= @log_start AND start_time < @stale_before AND status IN \(RunStatuses.open)
        """

    static let staleRunsSQL = """
        SELECT org_slug, COUNT(*) AS runs, MIN(start_time) AS oldest FROM \(QuotaTables.runs.sql)
        WHERE \(isStale)
        GROUP BY org_slug
        ORDER BY org_slug
        """

    static let markAsFailedSQL = """
        UPDATE \(QuotaTables.runs.sql)
        SET
          status = 'FAILED', end_time = @now, duration_ms = DIV(UNIX_MICROS(@now) - UNIX_MICROS(start_time), 1000),
          error_message = status || @reason
        WHERE \(isStale)
        """

    /// One row for each organization that has a row in the last three days.
    private static let recountSQL = """
        SELECT
          d.org_slug AS org_slug, IFNULL(r.running, 0) AS running, IFNULL(r.failed_today, 0) AS failed_today,
          IFNULL(r.failed_yesterday, 0) AS failed_yesterday, IFNULL(r.failed_before, 0) AS failed_before
        FROM (
          SELECT DISTINCT org_slug FROM \(QuotaTables.quotas.sql)
          WHERE usage_date >= @first_day AND usage_date <= @today) AS d
        LEFT JOIN (
          SELECT
            org_slug, \(RunStatuses.count("status IN \(RunStatuses.open) AND start_time >= @stale_before")) AS running,
            \(RunStatuses.count("\(hasFailed) AND start_time >= @today_start")) AS failed_today,
            \(RunStatuses.count("\(hasFailed) AND start_time >= @yesterday_start AND start_time < @today_start")) AS failed_yesterday,
            \(RunStatuses.count("\(hasFailed) AND start_time >= @first_day_start AND start_time < @yesterday_start")) AS failed_before
          FROM \(QuotaTables.runs.sql)
          WHERE start_time >= @log_start AND start_time < @today_end
          GROUP BY org_slug) AS r
        ON r.org_slug = d.org_slug
        """

    private static let hasFailed =
        "(status IN \(RunStatuses.failed) OR (status IN \(RunStatuses.open) AND start_time < @stale_before))"

    private static let running = "IF(q.usage_date = @today, n.running, 0)"
    private static let isExceeded = "q.usage_date = @today AND IFNULL(q.max_concurrent_reached, 0) < n.running"
    private static let highest = "IF(\(isExceeded), n.running, q.max_concurrent_reached)"
    /// A day before the lookback keeps its count.
    private static let failed = """
        CASE
            WHEN q.usage_date < @log_first_day THEN q.pipelines_failed_today
            WHEN q.usage_date = @today THEN n.failed_today
            WHEN q.usage_date = @yesterday THEN n.failed_yesterday
            ELSE n.failed_before
          END
        """

    private static let isWrong = """
        q.org_slug = n.org_slug AND q.usage_date >= @first_day AND q.usage_date <= @today
          AND (
            q.concurrent_pipelines_running IS DISTINCT FROM \(running)
            OR q.pipelines_failed_today IS DISTINCT FROM \(failed) OR (\(isExceeded)))
        """

    static let wrongCountersSQL = """
        SELECT
          q.org_slug AS org_slug, q.usage_date AS usage_date,
          q.concurrent_pipelines_running AS running_before, \(running) AS running_after,
          q.max_concurrent_reached AS highest_before, \(highest) AS highest_after,
          q.pipelines_failed_today AS failed_before, \(failed) AS failed_after
        FROM \(QuotaTables.quotas.sql) AS q
        JOIN (\(recountSQL)) AS n ON n.org_slug = q.org_slug
        WHERE \(isWrong)
        ORDER BY org_slug, usage_date
        """

    static let correctCountersSQL = """
        UPDATE \(QuotaTables.quotas.sql) AS q
        SET
          concurrent_pipelines_running = \(running), max_concurrent_reached = \(highest),
          pipelines_failed_today = \(failed), last_updated = @now, updated_at = @now
        FROM (\(recountSQL)) AS n
        WHERE \(isWrong)
        """
}
