import JobRuntime

/// The statements that give organizations their row of a day, with every counter recounted from the run log.
struct QuotaResetStatements: Sendable {
    let day: QuotaDay
    let columns: QuotaColumns
    let now: Timestamp
    /// A run that began before this and has not ended is stale, and not counted as running.
    let staleBefore: Timestamp

    /// One row for each organization that has several live subscriptions or several rows of the day, and one without a name
    /// for all of them: how many organizations get a row. Reads neither the run log nor other days.
    var census: Statement {
        Statement("count the organizations", Self.censusSQL, parameters: ["usage_date": .date(day.date)])
    }

    /// Everything but what only the row's own history knows: `created_at` and the day's highest concurrency.
    var openDay: MergeStatement {
        merge(
            "reset the quotas of \(day.date)",
            compared: [
                columns.daily, "pipelines_succeeded_today", "pipelines_failed_today", columns.monthly,
                "concurrent_pipelines_running", "daily_limit", "monthly_limit", "concurrent_limit", "seat_limit",
                "providers_limit",
            ])
    }

    var recountMonth: MergeStatement {
        merge("reset the monthly quotas of \(day.date)", compared: [columns.monthly])
    }

    private func merge(_ purpose: String, compared: [String]) -> MergeStatement {
        MergeStatement(
            purpose, into: QuotaTables.quotas, from: Self.sourceSQL(columns), keys: ["org_slug", "usage_date"],
            scope: "t.usage_date = @usage_date", compared: compared, stamped: ["last_updated", "updated_at"],
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
            // On the first of a month, runs of the evening before may still be running.
            SQLValue.Field("log_start", .timestamp(min(day.monthStart, staleBefore))),
            SQLValue.Field("stale_before", .timestamp(staleBefore)), SQLValue.Field("now", .timestamp(now)),
        ]
    }

    private static let isLive = """
        status IN ('ACTIVE', 'TRIAL')
            AND org_slug IN (SELECT org_slug FROM \(QuotaTables.profiles.sql) WHERE status = 'ACTIVE')
        """

    static let censusSQL = """
        WITH
          live AS (
            SELECT org_slug, COUNT(*) AS subscriptions FROM \(QuotaTables.subscriptions.sql)
            WHERE \(isLive)
            GROUP BY org_slug),
          present AS (
            SELECT org_slug, COUNT(*) AS quota_rows FROM \(QuotaTables.quotas.sql)
            WHERE usage_date = @usage_date
            GROUP BY org_slug)
        SELECT live.org_slug AS org_slug, live.subscriptions AS subscriptions, present.quota_rows AS quota_rows
        FROM live LEFT JOIN present ON present.org_slug = live.org_slug
        WHERE live.subscriptions > 1 OR present.quota_rows > 1
        UNION ALL
        SELECT CAST(NULL AS STRING), COUNT(*), 0 FROM live
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
        FROM (
          SELECT
            org_slug, daily_limit, monthly_limit, concurrent_limit, seat_limit, providers_limit,
            ROW_NUMBER() OVER (PARTITION BY org_slug ORDER BY created_at DESC, subscription_id DESC) AS place
          FROM \(QuotaTables.subscriptions.sql)
          WHERE \(isLive)) AS s
        LEFT JOIN (
          SELECT
            org_slug,
            COUNTIF(start_time >= @day_start AND start_time < @day_end) AS daily,
            COUNTIF(start_time >= @day_start AND start_time < @day_end AND status IN \(RunStatuses.succeeded)) AS succeeded,
            COUNTIF(start_time >= @day_start AND start_time < @day_end AND status IN \(RunStatuses.failed)) AS failed,
            COUNTIF(start_time >= @month_start) AS monthly,
            COUNTIF(start_time >= @stale_before AND start_time < @day_end AND status IN \(RunStatuses.open)) AS running
          FROM \(QuotaTables.runs.sql)
          WHERE start_time >= @log_start AND start_time < @month_end
          GROUP BY org_slug) AS r
        ON r.org_slug = s.org_slug
        WHERE s.place = 1
        """
    }
}
