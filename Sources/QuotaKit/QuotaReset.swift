package import JobRuntime
package import Warehouse
package import WarehouseKit

/// Gives every active organization with a live subscription its row of a day in `org_usage_quotas`. The counters are recounted
/// from the run log.
///
/// Invariants:
/// - A counter is the number of runs in the log, so a run that fires late, twice or again loses no count.
/// - A row that is right already is not written.
/// - The number of statements does not depend on the number of organizations.
/// - Organization and date identify a row, whatever its `usage_id`. If a day has several rows, all of them get the same values,
///   and the organization is reported. This job cannot know which of them another service reads.
/// - A problem of one organization keeps no other from its row. A subscription without a daily limit is a failure of its own.
///   If rows of the day were streamed so recently that BigQuery changes none, the missing rows are created all the same.
///
/// ```swift
/// let reset = QuotaReset(warehouse: warehouse, report: report)
/// try await reset.openDay(at: run.now)
/// ```
package struct QuotaReset: Sendable {
    private let warehouse: MeteredWarehouse
    private let columns: QuotaColumns
    private let staleAfter: Duration
    private let fence: LeaseFence?
    private let clock: @Sendable () -> Timestamp
    private let report: RunReport
    private let isDryRun: Bool

    /// - Parameters:
    ///   - fence: The fence of the job's lease. Without it, a MERGE that begins late may create rows twice.
    ///   - clock: Gives the time of the stamps, and decides which runs are running now.
    package init(
        warehouse: any SQLWarehouse, columns: QuotaColumns = .standard, staleAfter: Duration = .seconds(3600),
        fence: LeaseFence? = nil, report: RunReport, isDryRun: Bool = false,
        clock: @escaping @Sendable () -> Timestamp = Timestamp.wallClock
    ) {
        self.warehouse = MeteredWarehouse(warehouse, report)
        self.columns = columns
        self.staleAfter = staleAfter
        self.fence = fence
        self.clock = clock
        self.report = report
        self.isDryRun = isDryRun
    }

    /// Recounts the day's rows from the run log, copies the subscriptions' limits, and creates missing rows.
    package func openDay(at now: Timestamp) async throws {
        let statements = statements(now)
        try await run(statements.openDay, statements)
    }

    /// Recounts the monthly counter of the day's rows from the run log, and creates missing rows.
    package func recountMonth(at now: Timestamp) async throws {
        let statements = statements(now)
        try await run(statements.recountMonth, statements)
    }

    private func statements(_ now: Timestamp) -> QuotaResetStatements {
        QuotaResetStatements(
            day: QuotaDay(now.date), columns: columns, now: clock(), staleAfter: staleAfter, fence: fence)
    }

    private func run(_ merge: MergeStatement, _ statements: QuotaResetStatements) async throws {
        report.declare(counts: "organizations_reset", "rows_created", "rows_changed", "bytes_billed")
        let outcome = try await isDryRun ? preview(merge) : execute(merge, statements.day)
        report.add(Int(outcome.inserted), to: "rows_created")
        report.add(Int(outcome.updated), to: "rows_changed")
        let (created, changed) = (outcome.inserted, outcome.updated)
        report.line(
            "\(statements.day.date): "
                + (isDryRun
                    ? "would create \(spoken(Int(created), "rows")), would change \(changed)"
                    : "\(spoken(Int(created), "rows")) created, \(changed) changed"))
        try Task.checkCancellation()
        // After the MERGE, so that the run that creates a second row reports it.
        try await takeCensus(statements)
    }

    private func execute(_ merge: MergeStatement, _ day: QuotaDay) async throws -> MergeResult {
        do {
            return try await warehouse.merge(merge)
        } catch let error as WarehouseError where error.concernsStreamedRows {
            let outcome = try await warehouse.merge(merge.insertingOnly)
            report.fail(
                "rows of \(day.date)",
                "were not changed, because some were streamed a short while ago; a later run corrects them")
            return outcome
        }
    }

    private func takeCensus(_ statements: QuotaResetStatements) async throws {
        let day = statements.day.date
        for row in try await warehouse.query(statements.census).rows {
            guard let slug = try row.optionalString("org_slug") else {
                report.add(Int(try row.int64("organizations")), to: "organizations_reset")
                let unknown = try row.int64("unknown_runs")
                if unknown > 0 {
                    report.warn(
                        "runs of \(day)",
                        "\(unknown) have a status that this job does not know; they count as started and no more")
                }
                continue
            }
            if try row.int64("lacks_limit") > 0 {
                report.fail(quoted(slug), "its newest live subscription has no daily_limit; it was left out")
            }
            let subscriptions = try row.int64("subscriptions")
            if subscriptions > 1 {
                report.warn(quoted(slug), "has \(subscriptions) live subscriptions; the newest gave the limits")
            }
            let rows = try row.optionalInt64("quota_rows") ?? 0
            if rows > 1 { report.warn(quoted(slug), "has \(rows) rows for \(day); all get the same values") }
        }
    }

    private func preview(_ merge: MergeStatement) async throws -> MergeResult {
        guard let row = try await warehouse.query(merge.preview).rows.first else {
            throw WarehouseError(.unexpectedResult, operation: merge.purpose, message: "the answer has no row")
        }
        return MergeResult(inserted: try row.int64("missing"), updated: try row.int64("differing"))
    }
}

/// The statements that give organizations their row of a day. Every counter is recounted from the run log.
struct QuotaResetStatements: Sendable {
    let day: QuotaDay
    let columns: QuotaColumns
    /// The present moment, whatever the day.
    let now: Timestamp
    let staleAfter: Duration
    var fence: LeaseFence?

    /// A run that began before this and has not ended is stale and does not count as running. No run counts as running on
    /// another day than today.
    private var runningSince: Timestamp { now.date == day.date ? now.adding(.zero - staleAfter) : day.end }

    /// Returns one row for each organization with several live subscriptions, several rows of the day or no daily limit. One
    /// row without a name has the totals: how many organizations get a row, and how many runs of the day have an unknown
    /// status. Reads no other days.
    var census: Statement {
        Statement(
            "count the organizations", Self.censusSQL,
            parameters: [
                "usage_date": .date(day.date), "day_start": .timestamp(day.start), "day_end": .timestamp(day.end),
            ])
    }

    /// Recounts everything except `created_at` and the day's highest concurrency, which is raised to the present one at least.
    var openDay: MergeStatement {
        merge(
            "reset the quotas of \(day.date)",
            compared: [
                columns.daily, "pipelines_succeeded_today", "pipelines_failed_today", columns.monthly,
                "concurrent_pipelines_running", "daily_limit", "monthly_limit", "concurrent_limit", "seat_limit",
                "providers_limit",
            ], raised: ["max_concurrent_reached"])
    }

    var recountMonth: MergeStatement {
        merge("reset the monthly quotas of \(day.date)", compared: [columns.monthly])
    }

    private func merge(_ purpose: String, compared: [String], raised: [String] = []) -> MergeStatement {
        MergeStatement(
            purpose, into: QuotaTables.quotas,
            from: Self.sourceSQL(columns) + (fence == nil ? "" : "\n  AND \(LeaseFence.sql)"),
            keys: ["org_slug", "usage_date"], scope: "t.usage_date = @usage_date", compared: compared, raised: raised,
            stamped: ["last_updated", "updated_at"],
            inserted: [
                "usage_id", "org_slug", "usage_date", columns.daily, "pipelines_succeeded_today",
                "pipelines_failed_today", columns.monthly, "concurrent_pipelines_running", "daily_limit",
                "monthly_limit", "concurrent_limit", "seat_limit", "providers_limit", "max_concurrent_reached",
                "last_updated", "created_at",
            ], parameters: parameters)
    }

    private var parameters: [SQLValue.Field] {
        [
            SQLValue.Field("usage_date", .date(day.date)), SQLValue.Field("id_suffix", .string("_\(day.compact)")),
            SQLValue.Field("day_start", .timestamp(day.start)), SQLValue.Field("day_end", .timestamp(day.end)),
            SQLValue.Field("month_start", .timestamp(day.monthStart)),
            SQLValue.Field("month_end", .timestamp(day.monthEnd)),
            // On the first of a month, runs that started the evening before may still be running.
            SQLValue.Field("log_start", .timestamp(min(day.monthStart, runningSince))),
            SQLValue.Field("running_since", .timestamp(runningSince)), SQLValue.Field("now", .timestamp(now)),
        ] + (fence?.parameters ?? [])
    }

    private static let isLive = """
        status IN ('ACTIVE', 'TRIAL')
            AND org_slug IN (SELECT org_slug FROM \(QuotaTables.profiles.sql) WHERE status = 'ACTIVE')
        """

    /// The live subscriptions. The newest of an organization has place 1.
    private static let ranked = """
        SELECT
            org_slug, daily_limit, monthly_limit, concurrent_limit, seat_limit, providers_limit,
            ROW_NUMBER() OVER (PARTITION BY org_slug ORDER BY created_at DESC, subscription_id DESC) AS place
          FROM \(QuotaTables.subscriptions.sql)
          WHERE \(isLive)
        """

    static let censusSQL = """
        WITH
          live AS (
            SELECT
              org_slug, COUNT(*) AS subscriptions,
              \(RunStatuses.count("place = 1 AND daily_limit IS NULL")) AS lacks_limit
            FROM (\(ranked)) AS s
            GROUP BY org_slug),
          present AS (
            SELECT org_slug, COUNT(*) AS quota_rows FROM \(QuotaTables.quotas.sql)
            WHERE usage_date = @usage_date
            GROUP BY org_slug)
        SELECT
          live.org_slug AS org_slug, live.subscriptions AS subscriptions, present.quota_rows AS quota_rows,
          live.lacks_limit AS lacks_limit, 0 AS organizations, 0 AS unknown_runs
        FROM live LEFT JOIN present ON present.org_slug = live.org_slug
        WHERE live.subscriptions > 1 OR present.quota_rows > 1 OR live.lacks_limit > 0
        UNION ALL
        SELECT
          CAST(NULL AS STRING), 0, 0, 0, (SELECT COUNT(*) FROM live WHERE lacks_limit = 0),
          (
            SELECT COUNT(*) FROM \(QuotaTables.runs.sql)
            WHERE start_time >= @day_start AND start_time < @day_end AND status NOT IN \(RunStatuses.known))
        ORDER BY org_slug
        """

    static func sourceSQL(_ columns: QuotaColumns) -> String {
        """
        SELECT
          s.org_slug || @id_suffix AS usage_id, s.org_slug AS org_slug, @usage_date AS usage_date,
          IFNULL(r.daily, 0) AS `\(columns.daily)`, IFNULL(r.succeeded, 0) AS pipelines_succeeded_today,
          IFNULL(r.failed, 0) AS pipelines_failed_today, IFNULL(r.monthly, 0) AS `\(columns.monthly)`,
          IFNULL(r.running, 0) AS concurrent_pipelines_running, s.daily_limit AS daily_limit,
          s.monthly_limit AS monthly_limit, s.concurrent_limit AS concurrent_limit, s.seat_limit AS seat_limit,
          s.providers_limit AS providers_limit, IFNULL(r.running, 0) AS max_concurrent_reached,
          @now AS last_updated, @now AS updated_at, @now AS created_at
        FROM (\(ranked)) AS s
        LEFT JOIN (
          SELECT
            org_slug,
            \(RunStatuses.count("start_time >= @day_start AND start_time < @day_end")) AS daily,
            \(RunStatuses.count("start_time >= @day_start AND start_time < @day_end AND status IN \(RunStatuses.succeeded)")) AS succeeded,
            \(RunStatuses.count("start_time >= @day_start AND start_time < @day_end AND status IN \(RunStatuses.failed)")) AS failed,
            \(RunStatuses.count("start_time >= @month_start")) AS monthly,
            \(RunStatuses.count("start_time >= @running_since AND start_time <= @now AND start_time < @day_end AND status IN \(RunStatuses.open)")) AS running
          FROM \(QuotaTables.runs.sql)
          WHERE start_time >= @log_start AND start_time < @month_end
          GROUP BY org_slug) AS r
        ON r.org_slug = s.org_slug
        WHERE s.place = 1 AND s.daily_limit IS NOT NULL
        """
    }
}
