package import JobRuntime
package import Warehouse
package import WarehouseKit

/// Gives every active organization with a live subscription its row of a day in `org_usage_quotas`. The counters are recounted
/// from the run log, in the sense of the API service, which enforces them.
///
/// For the row of a day D:
/// - daily, monthly: successful runs that started on D, and in D's month up to the end of D (``QuotaCounts`` may count all runs);
/// - succeeded, failed: runs that started on D. The failed ones are never lowered, because the API service also counts runs
///   that it refused before they reached the log;
/// - concurrent: open runs that started on D and are not stale, also when D is over. The API service subtracts a run from the
///   row of the day on which it was reserved.
///
/// Invariants:
/// - A run that fires late, twice or again ends at the same numbers.
/// - A row that is right already is not written. A row of a day gone by keeps its limits.
/// - The number of statements does not depend on the number of organizations.
/// - Organization and date identify a row, whatever its `usage_id`. If a day has several rows, all of them get the same values,
///   and the organization is reported. This job cannot know which of them another service reads.
/// - A problem of one organization keeps no other from its row. A subscription without a daily limit is a failure of its own.
///   If rows of the day were streamed so recently that BigQuery changes none (fact BQ-29), the missing rows are created all the same.
/// - Profiles without an organization to serve are reported, and a failure where all of them lack a live subscription.
///
/// ```swift
/// let reset = QuotaReset(warehouse: warehouse, report: report)
/// try await reset.openDay(at: run.now)
/// ```
package struct QuotaReset: Sendable {
    private let warehouse: MeteredWarehouse
    private let columns: QuotaColumns
    private let counts: QuotaCounts
    private let staleAfter: Duration
    private let fence: LeaseFence?
    private let clock: @Sendable () -> Timestamp
    private let report: RunReport
    private let isDryRun: Bool

    /// - Parameters:
    ///   - fence: The fence of the job's lease. Without it, a MERGE that begins late may create rows twice.
    ///   - clock: Gives the time of the stamps, and decides which runs are stale.
    package init(
        warehouse: any SQLWarehouse, columns: QuotaColumns = .standard, counts: QuotaCounts = .succeeded,
        staleAfter: Duration = .seconds(3600), fence: LeaseFence? = nil, report: RunReport,
        isDryRun: Bool = false, clock: @escaping @Sendable () -> Timestamp = Timestamp.wallClock
    ) {
        self.warehouse = MeteredWarehouse(warehouse, report)
        self.columns = columns
        self.counts = counts
        self.staleAfter = staleAfter
        self.fence = fence
        self.clock = clock
        self.report = report
        self.isDryRun = isDryRun
    }

    /// The reason why a reset of that day needs `--force`.
    /// - Parameter wallClock: The present time, which `--date` does not change.
    package static func objection(to day: CivilDate, wallClock: Timestamp) -> String? {
        if day > wallClock.date {
            return "\(day) is to come: it would get rows that no cleanup deletes before \(day) is long over"
        }
        guard day < wallClock.date.adding(days: -longestPast) else { return nil }
        return "\(day) is more than five years ago: organizations would get rows of a day on which they did not exist"
    }

    private static let longestPast = 1827

    /// Recounts the day's rows from the run log, copies the subscriptions' limits, and creates missing rows.
    package func openDay(at now: Timestamp) async throws { try await run(on: now.date) { $0.openDay } }

    /// Recounts the monthly counter of the day's rows from the run log, and creates missing rows.
    package func recountMonth(at now: Timestamp) async throws { try await run(on: now.date) { $0.recountMonth } }

    private func run(on date: CivilDate, _ merge: (QuotaResetStatements) -> MergeStatement) async throws {
        report.declare(counts: "organizations_reset", "rows_created", "rows_changed", "bytes_billed")
        var statements = QuotaResetStatements(
            day: QuotaDay(date), columns: columns, counts: counts, now: clock(), staleAfter: staleAfter, fence: fence)
        let outcome: MergeResult
        do {
            outcome = try await perform(merge(statements), statements.day)
        } catch let error as WarehouseError where !columns.isChosen && Self.names(columns, in: error) {
            // The table was created by the jobs in Python. The statement did nothing.
            statements.columns = .predecessor
            outcome = try await perform(merge(statements), statements.day, unless: error)
        }
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

    /// Whether the warehouse refused a statement because of one of these columns. The message alone names it.
    private static func names(_ columns: QuotaColumns, in error: WarehouseError) -> Bool {
        error.code == .invalid && [columns.daily, columns.monthly].contains { error.message.contains($0) }
    }

    private func perform(_ merge: MergeStatement, _ day: QuotaDay) async throws -> MergeResult {
        try await isDryRun ? preview(merge) : execute(merge, day)
    }

    /// - Parameter first: The error about the standard pair, which is thrown if the table lacks the other pair, too.
    private func perform(
        _ merge: MergeStatement, _ day: QuotaDay, unless first: WarehouseError
    ) async throws -> MergeResult {
        do {
            return try await perform(merge, day)
        } catch let error as WarehouseError where Self.names(.predecessor, in: error) {
            throw first.withAdvice(
                "\(QuotaTables.quotas) has neither \(QuotaColumns.standard.daily) and \(QuotaColumns.standard.monthly) nor "
                    + "\(QuotaColumns.predecessor.daily) and \(QuotaColumns.predecessor.monthly): run bootstrap-sync, or set "
                    + "QUOTA_DAILY_COLUMN and QUOTA_MONTHLY_COLUMN")
        }
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
        var words: [(word: String?, runs: Int64)] = []
        var profiles = ProfileCounts()
        var subscriptions = (live: Int64(0), inOtherCapitals: Int64(0), missing: Int64(0))
        var columns: [String] = []
        for row in try await warehouse.query(statements.census).rows {
            columns = row.fields.map(\.name)
            let name = try row.optionalString("census_name")
            let numbers = try (1...3).map { try row.int64("census_\($0)") }
            switch try row.string("census_kind") {
            case "organization": note(name ?? "", subscriptions: numbers[0], rows: numbers[1], lacks: numbers[2], day)
            case "status": words.append((name, numbers[0]))
            case "organizations": report.add(Int(numbers[0]), to: "organizations_reset")
            case "profiles":
                profiles = ProfileCounts(profiles: numbers[0], active: numbers[1], inOtherCapitals: numbers[2])
            default: subscriptions = (numbers[0], numbers[1], numbers[2])
            }
        }
        RunStatuses.warn(of: words, period: "\(day.firstOfMonth) to \(day)", in: report)
        note(profiles, subscriptions)
        // A statement cannot be told which pair counts, so two pairs end the run as failed. What was written is right in any case.
        _ = try self.columns.pair(in: columns)
    }

    private func note(_ slug: String, subscriptions: Int64, rows: Int64, lacks: Int64, _ day: CivilDate) {
        if lacks > 0 { report.fail(quoted(slug), "its newest live subscription has no daily_limit; it was left out") }
        if subscriptions > 1 {
            report.warn(quoted(slug), "has \(subscriptions) live subscriptions; the newest gave the limits")
        }
        if rows > 1 { report.warn(quoted(slug), "has \(rows) rows for \(day); all get the same values") }
    }

    /// Reports profiles that this job does not serve.
    private func note(_ profiles: ProfileCounts, _ subscriptions: (live: Int64, inOtherCapitals: Int64, missing: Int64))
    {
        if let reason = profiles.reasonForNoneActive { report.warn("organizations", reason) }
        guard subscriptions.missing > 0 else { return }
        let counts =
            "live subscriptions in all: \(subscriptions.live), with a live status in other capitals: "
            + "\(subscriptions.inOtherCapitals)"
        if subscriptions.missing < profiles.active {
            report.warn(
                "organizations",
                "\(subscriptions.missing) of \(profiles.active) ACTIVE profiles have no live subscription and get no row "
                    + "(\(counts))")
        } else {
            report.fail(
                "organizations",
                "none of \(profiles.active) ACTIVE profiles has a live subscription (\(counts)): see that "
                    + "org_subscriptions is still written, with the statuses ACTIVE and TRIAL")
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
    var columns: QuotaColumns
    var counts = QuotaCounts.succeeded
    /// The present moment, whatever the day.
    let now: Timestamp
    let staleAfter: Duration
    var fence: LeaseFence?

    /// Returns rows of several kinds, each with a name and three numbers:
    /// - `organization`: an organization with several live subscriptions, several rows of the day or no daily limit;
    /// - `status`: an unknown status of the month's runs up to the end of the day, with their number;
    /// - `organizations`, `profiles`, `subscriptions`: the totals, one row each.
    ///
    /// Every row also has the columns of `org_usage_quotas`, without a value. Their names show which counters the table has.
    var census: Statement {
        Statement(
            "count the organizations", Self.censusSQL,
            parameters: [
                "usage_date": .date(day.date), "month_start": .timestamp(day.monthStart),
                "day_end": .timestamp(day.end),
            ])
    }

    /// Recounts everything except `created_at`. The failed runs and the day's highest concurrency are raised and never lowered.
    /// The limits of a day gone by stay.
    var openDay: MergeStatement {
        let limits = ["daily_limit", "monthly_limit", "concurrent_limit", "seat_limit", "providers_limit"]
        return merge(
            "reset the quotas of \(day.date)",
            compared: [
                columns.daily, "pipelines_succeeded_today", columns.monthly, "concurrent_pipelines_running",
            ] + (day.date < now.date ? [] : limits), raised: ["pipelines_failed_today", "max_concurrent_reached"])
    }

    var recountMonth: MergeStatement {
        merge("reset the monthly quotas of \(day.date)", compared: [columns.monthly])
    }

    private func merge(_ purpose: String, compared: [String], raised: [String] = []) -> MergeStatement {
        MergeStatement(
            purpose, into: QuotaTables.quotas,
            from: Self.sourceSQL(columns, counts) + (fence == nil ? "" : "\n  AND \(LeaseFence.sql)"),
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
            SQLValue.Field("stale_before", .timestamp(now.adding(.zero - staleAfter))),
            SQLValue.Field("now", .timestamp(now)),
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
        SELECT c.*, q.*
        FROM (
          SELECT
            'organization' AS census_kind, live.org_slug AS census_name, live.subscriptions AS census_1,
            IFNULL(present.quota_rows, 0) AS census_2, live.lacks_limit AS census_3
          FROM live LEFT JOIN present ON present.org_slug = live.org_slug
          WHERE live.subscriptions > 1 OR present.quota_rows > 1 OR live.lacks_limit > 0
          UNION ALL
          SELECT 'status', status, COUNT(*), 0, 0 FROM \(QuotaTables.runs.sql)
          WHERE start_time >= @month_start AND start_time < @day_end AND \(RunStatuses.isUnknown)
          GROUP BY status
          UNION ALL
          SELECT 'organizations', CAST(NULL AS STRING), COUNT(*), 0, 0 FROM live WHERE lacks_limit = 0
          UNION ALL
          SELECT 'profiles', CAST(NULL AS STRING), \(ProfileCounts.columns.joined(separator: ", "))
          FROM \(QuotaTables.profiles.sql)
          UNION ALL
          SELECT
            'subscriptions', CAST(NULL AS STRING), \(RunStatuses.count("status IN ('ACTIVE', 'TRIAL')")),
            \(RunStatuses.count("UPPER(TRIM(status)) IN ('ACTIVE', 'TRIAL') AND status NOT IN ('ACTIVE', 'TRIAL')")),
            (
              SELECT COUNT(DISTINCT org_slug) FROM \(QuotaTables.profiles.sql)
              WHERE status = 'ACTIVE' AND org_slug NOT IN (SELECT live.org_slug FROM live))
          FROM \(QuotaTables.subscriptions.sql)) AS c
        LEFT JOIN (
          SELECT * FROM \(QuotaTables.quotas.sql)
          WHERE usage_date = @usage_date AND org_slug IS NULL) AS q
        ON q.org_slug = c.census_name
        ORDER BY c.census_kind, c.census_name
        """

    static func sourceSQL(_ columns: QuotaColumns, _ counts: QuotaCounts) -> String {
        let ofDay = "start_time >= @day_start"
        return """
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
                \(RunStatuses.count("\(ofDay) AND \(counts.condition)")) AS daily,
                \(RunStatuses.count("\(ofDay) AND status IN \(RunStatuses.succeeded)")) AS succeeded,
                \(RunStatuses.count("\(ofDay) AND status IN \(RunStatuses.failed)")) AS failed,
                \(RunStatuses.count(counts.condition)) AS monthly,
                \(RunStatuses.count("\(ofDay) AND start_time >= @stale_before AND status IN \(RunStatuses.open)")) AS running
              FROM \(QuotaTables.runs.sql)
              WHERE start_time >= @month_start AND start_time < @day_end
              GROUP BY org_slug) AS r
            ON r.org_slug = s.org_slug
            WHERE s.place = 1 AND s.daily_limit IS NOT NULL
            """
    }
}
