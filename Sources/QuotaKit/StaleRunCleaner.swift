package import JobRuntime
package import Logging
package import Warehouse
import WarehouseKit

/// Marks crashed runs as failed, and recounts the counters that such runs leave behind.
///
/// Invariants:
/// - After one pass over a quiet run log, no run in the lookback is stale. The rows of the last three days count exactly the
///   open runs that started on their day, as the API service does, which adds and subtracts a run in the row of the day on
///   which it was reserved. (With a threshold of more than a day the rows reach back as far as a run may be open.)
/// - The failed runs of these days are recounted too, because marking a run changes their number. Their number is never lowered,
///   because the API service also counts runs that it refused before they reached the log.
/// - A row that is right already is not written. A pass without anything to repair only reads.
/// - If a pass is stopped anywhere, the next pass ends in the same state. So does a later pass for a day gone by.
/// - What a pass sees and does not repair, it reports: statuses that it does not know, and days of which an organization has several
///   rows. Open runs before the lookback are in the whole log, which costs the most to read, so only a dry run and the passes of the
///   first hour of a day report them.
///
/// A reservation reaches its row about a second before its run reaches the log. A pass in between sets the counter to the log's
/// number, because a row has no time of its last reservation: nothing distinguishes it from one that was left behind.
///
/// ```swift
/// let cleaner = StaleRunCleaner(warehouse: warehouse, report: report, logger: logger)
/// try await cleaner.clean(run.now.date, at: run.clock)
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

    /// The reason why a pass at that time needs `--force`.
    /// - Parameter wallClock: The present time, which `--now` does not change.
    package static func objection(to now: Timestamp, wallClock: Timestamp) -> String? {
        guard now > wallClock else { return nil }
        return "\(now) is to come: runs that are alive would be marked as failed, and their results be lost"
    }

    /// - Parameters:
    ///   - day: The last of the days whose rows are recounted.
    ///   - now: The present moment. It decides which runs are stale, whatever the day.
    package func clean(_ day: CivilDate, at now: Timestamp) async throws {
        report.declare(counts: "runs_marked_failed", "rows_changed", "bytes_billed")
        let seeksOlderRuns = isDryRun || Self.isInFirstHour(now)
        if seeksOlderRuns { report.declare(counts: "open_runs_not_read") }
        let statements = StaleRunStatements(
            day: QuotaDay(day), now: now, staleAfter: staleAfter, lookbackDays: lookbackDays,
            seeksOlderRuns: seeksOlderRuns)
        try await endStaleRuns(statements)
        try Task.checkCancellation()
        try await correctCounters(statements)
    }

    private static func isInFirstHour(_ now: Timestamp) -> Bool {
        now < QuotaDay(now.date).start.adding(.seconds(3600))
    }

    private func endStaleRuns(_ statements: StaleRunStatements) async throws {
        let found = try await warehouse.query(statements.census).rows
        let stale = try found.filter { try $0.string("kind") == "stale" }
        report.table(
            header: ["organization", "stale runs", "oldest start"],
            rows: try stale.map { row in
                [try row.string("name"), String(try row.int64("number")), try row.timestamp("oldest").description]
            })
        try reportUnrepaired(found, statements)
        guard !isDryRun else {
            let runs = Int(try stale.reduce(0) { try $0 + $1.int64("number") })
            report.add(runs, to: "runs_marked_failed")
            return report.line("would mark \(spoken(runs, "runs")) as failed")
        }
        guard !stale.isEmpty else { return }
        try Task.checkCancellation()
        report.add(try await change(statements.markAsFailed, "stale runs") ?? 0, to: "runs_marked_failed")
    }

    /// Reports what the pass found and leaves as it is.
    private func reportUnrepaired(_ found: [Row], _ statements: StaleRunStatements) throws {
        let (first, last) = (statements.logStart.date, statements.day.date)
        let words = try found.filter { try $0.string("kind") == "status" }.map {
            (word: try $0.optionalString("name"), runs: try $0.int64("number"))
        }
        RunStatuses.warn(of: words, period: "\(first) to \(last)", in: report)
        for row in found where try row.string("kind") == "unread" && row.int64("number") > 0 {
            let number = Int(try row.int64("number"))
            report.add(number, to: "open_runs_not_read")
            report.warn(
                "runs from before \(first)",
                "\(number) are open since \(try row.timestamp("oldest")) or later, and older than the lookback of "
                    + "\(spoken(lookbackDays, "days")): no pass ends them, and their pipelines may not start again; raise "
                    + "STALE_LOOKBACK_DAYS for one run")
        }
        let twice = try found.filter { try $0.string("kind") == "twice" }
        guard !twice.isEmpty else { return }
        let examples = try twice.prefix(3).map { row in
            "\(try row.string("name")) has \(try row.int64("number")) for \(try row.date("day"))"
        }
        report.warn(
            "rows of \(QuotaTables.quotas)",
            "days that an organization has several times: \(twice.count) (\(examples.joined(separator: ", "))); all of a day's "
                + "rows get the same values, so delete all but one")
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

    /// Returns how many rows were changed, or `nil` if BigQuery changes none yet (fact BQ-29). The pass goes on then.
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
    /// Whether open runs before the lookback are sought, in the whole log.
    var seeksOlderRuns = true

    private var staleBefore: Timestamp { now.adding(.zero - staleAfter.duration) }
    var logStart: QuotaDay { QuotaDay(day.date.adding(days: -lookbackDays)) }
    /// Two days before the day, or the day before the oldest run that may still be open.
    private var firstDay: QuotaDay {
        QuotaDay(min(day.date.adding(days: -2), min(staleBefore, day.end).date.adding(days: -1)))
    }

    /// Returns rows of several kinds, each with a name, a number and a time:
    /// - `stale`: an organization with stale runs, their number and the oldest start;
    /// - `unread`: the number of open runs before the lookback, and the oldest start, if they are sought;
    /// - `status`: an unknown status in the lookback, with the number of its runs;
    /// - `twice`: an organization with several rows of a day, with their number and the day.
    var census: Statement {
        with(
            "find the stale runs", Self.censusSQL(olderRuns: seeksOlderRuns),
            log + [("first_day", .date(firstDay.date)), ("today", .date(day.date))])
    }

    /// A run that was marked is not stale any more, so a second execution finds none.
    var markAsFailed: Statement {
        let reason = " for more than \(staleAfter.minutes) minutes: marked as failed by stale-cleanup"
        return with(
            "mark the stale runs as failed", Self.markAsFailedSQL,
            log + [("now", .timestamp(now)), ("reason", .string(reason))])
    }

    /// Returns the rows of the last three days whose counters differ from the run log, with both values. Stale runs count as
    /// failed, whether they have been marked or not.
    var wrongCounters: Statement { with("recount the open runs", Self.wrongCountersSQL, counters) }

    var correctCounters: Statement {
        with("correct the counters", Self.correctCountersSQL, counters + [("now", .timestamp(now))])
    }

    private var log: [(String, SQLValue)] {
        [
            ("log_start", .timestamp(logStart.start)), ("stale_before", .timestamp(staleBefore)),
            ("day_end", .timestamp(day.end)),
        ]
    }

    private var counters: [(String, SQLValue)] {
        log + [
            ("log_first_day", .date(logStart.date)), ("first_day", .date(firstDay.date)), ("today", .date(day.date)),
        ]
    }

    private func with(_ purpose: String, _ sql: String, _ parameters: [(String, SQLValue)]) -> Statement {
        var statement = Statement(purpose, sql)
        statement.parameters = parameters.map { SQLValue.Field($0.0, $0.1) }
        return statement
    }
}

extension StaleRunStatements {
    private static let isRead = "start_time >= @log_start AND start_time < @day_end"
    private static let isStale = "\(isRead) AND start_time < @stale_before AND status IN \(RunStatuses.open)"

    private static let olderRunsSQL = """

        SELECT 'unread', CAST(NULL AS STRING), COUNT(*), MIN(start_time), CAST(NULL AS DATE)
        FROM \(QuotaTables.runs.sql)
        WHERE start_time < @log_start AND status IN \(RunStatuses.open)
        UNION ALL
        """

    private static func censusSQL(olderRuns: Bool) -> String {
        """
        SELECT
          'stale' AS kind, org_slug AS name, COUNT(*) AS number, MIN(start_time) AS oldest, CAST(NULL AS DATE) AS day
        FROM \(QuotaTables.runs.sql)
        WHERE \(isStale)
        GROUP BY org_slug
        UNION ALL\(olderRuns ? olderRunsSQL : "")
        SELECT 'status', status, COUNT(*), MIN(start_time), CAST(NULL AS DATE) FROM \(QuotaTables.runs.sql)
        WHERE \(isRead) AND \(RunStatuses.isUnknown)
        GROUP BY status
        UNION ALL
        SELECT 'twice', org_slug, COUNT(*), CAST(NULL AS TIMESTAMP), usage_date FROM \(QuotaTables.quotas.sql)
        WHERE usage_date >= @first_day AND usage_date <= @today
        GROUP BY org_slug, usage_date
        HAVING COUNT(*) > 1
        ORDER BY kind, name, day
        """
    }

    static let markAsFailedSQL = """
        UPDATE \(QuotaTables.runs.sql)
        SET
          status = 'FAILED', end_time = @now, duration_ms = DIV(UNIX_MICROS(@now) - UNIX_MICROS(start_time), 1000),
          error_message = status || @reason
        WHERE \(isStale)
        """

    /// One row for each organization and day that has a row of counters.
    private static let recountSQL = """
        SELECT
          d.org_slug AS org_slug, d.usage_date AS usage_date, IFNULL(r.running, 0) AS running,
          IFNULL(r.failed, 0) AS failed
        FROM (
          SELECT DISTINCT org_slug, usage_date FROM \(QuotaTables.quotas.sql)
          WHERE usage_date >= @first_day AND usage_date <= @today) AS d
        LEFT JOIN (
          SELECT
            org_slug, DATE(start_time) AS day,
            \(RunStatuses.count("status IN \(RunStatuses.open) AND start_time >= @stale_before")) AS running,
            \(RunStatuses.count("status IN \(RunStatuses.failed) OR (status IN \(RunStatuses.open) AND start_time < @stale_before)")) AS failed
          FROM \(QuotaTables.runs.sql)
          WHERE \(isRead)
          GROUP BY org_slug, DATE(start_time)) AS r
        ON r.org_slug = d.org_slug AND r.day = d.usage_date
        """

    private static let isExceeded = "IFNULL(q.max_concurrent_reached, 0) < n.running"
    private static let highest = "IF(\(isExceeded), n.running, q.max_concurrent_reached)"
    /// Failed runs that the row lacks. A day before the lookback keeps its count, and so does a row that counts more.
    private static let lacksFailed =
        "(q.usage_date >= @log_first_day AND (q.pipelines_failed_today IS NULL OR q.pipelines_failed_today < n.failed))"
    private static let failed = "IF(\(lacksFailed), n.failed, q.pipelines_failed_today)"

    private static let isWrong = """
        q.org_slug = n.org_slug AND q.usage_date = n.usage_date
          AND q.usage_date >= @first_day AND q.usage_date <= @today
          AND (q.concurrent_pipelines_running IS DISTINCT FROM n.running OR \(lacksFailed) OR \(isExceeded))
        """

    static let wrongCountersSQL = """
        SELECT
          q.org_slug AS org_slug, q.usage_date AS usage_date,
          q.concurrent_pipelines_running AS running_before, n.running AS running_after,
          q.max_concurrent_reached AS highest_before, \(highest) AS highest_after,
          q.pipelines_failed_today AS failed_before, \(failed) AS failed_after
        FROM \(QuotaTables.quotas.sql) AS q
        JOIN (\(recountSQL)) AS n ON n.org_slug = q.org_slug AND n.usage_date = q.usage_date
        WHERE \(isWrong)
        ORDER BY org_slug, usage_date
        """

    static let correctCountersSQL = """
        UPDATE \(QuotaTables.quotas.sql) AS q
        SET
          concurrent_pipelines_running = n.running, max_concurrent_reached = \(highest),
          pipelines_failed_today = \(failed), last_updated = @now, updated_at = @now
        FROM (\(recountSQL)) AS n
        WHERE \(isWrong)
        """
}
