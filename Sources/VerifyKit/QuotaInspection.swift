import JobRuntime
import Warehouse
import WarehouseKit

/// The usage counters of today and the two days before, against the run log.
///
/// ## What a row of `org_usage_quotas` must have
///
/// | Column | Value |
/// |---|---|
/// | daily, succeeded | successful runs that started on the day |
/// | monthly | successful runs that started in the month up to the end of the day |
/// | failed | at least the failed runs that started on the day; runs that the API service refused reach no log |
/// | concurrent | open runs that started on the day and are not stale |
/// | highest | at least the runs that are open for so long that a pass of stale-cleanup has seen them |
/// | limits, today | those of the newest live subscription |
///
/// ## What may differ, although all jobs do their work
///
/// - What was right at one of ``Attestation/earlierLooks``.
/// - A run that started before midnight and ended after the day's row was opened: the API service counts it in the row of its
///   own day, and nobody counts it in the monthly counter of the next day. The counter may lack it.
/// - A run that ended within two minutes of the moment when a job wrote the row: the job has counted it, and the API service
///   has counted it again. The counter may have it twice.
struct QuotaInspection: Sendable {
    static let rows = Invariant(
        "quota-rows", command: "./scripts/run-job.sh ENVIRONMENT quota-reset-daily -- --dry-run")
    static let counters = Invariant(
        "quota-counters", command: "./scripts/run-job.sh ENVIRONMENT quota-reset-daily -- --date DAY --dry-run")
    static let failed = Invariant(
        "quota-failed", command: "./scripts/run-job.sh ENVIRONMENT stale-cleanup -- --dry-run")
    static let concurrent = Invariant(
        "quota-concurrent", command: "./scripts/run-job.sh ENVIRONMENT stale-cleanup -- --dry-run")
    static let limits = Invariant(
        "quota-limits", command: "./scripts/run-job.sh ENVIRONMENT quota-reset-daily -- --dry-run")
    static let staleRuns = Invariant(
        "stale-runs", command: "./scripts/run-job.sh ENVIRONMENT stale-cleanup -- --dry-run")
    static let statuses = Invariant(
        "run-statuses", command: "./scripts/run-job.sh ENVIRONMENT stale-cleanup -- --dry-run")

    let daily: String
    let monthly: String
    let countsAllRuns: Bool
    let staleAfter: Duration

    /// Two passes of stale-cleanup.
    static let repairTime = Duration.seconds(1800)
    /// How close in time a run's end and a job's write must be to be counted twice.
    private static let overlapSeconds = 120

    func statement() -> InspectionStatement {
        let invariants = [
            Self.rows, Self.counters, Self.failed, Self.concurrent, Self.limits, Self.staleRuns, Self.statuses,
        ]
        return InspectionStatement(
            purpose: "check the quotas against the run log", invariants: invariants, tables: tables,
            findings: rowFindings + counterFindings + [limitFinding] + runFindings,
            read: Dictionary(
                uniqueKeysWithValues: invariants.map {
                    ($0.name, [Self.staleRuns, Self.statuses].contains($0) ? "runs" : "quotas")
                }), parameters: parameters)
    }

    /// The instants of this statement follow from the one at which it looks.
    private func parameters(at instant: Timestamp) -> [SQLValue.Field] {
        let today = instant.date
        let days = (0...2).map { today.adding(days: -$0) }
        let elements = days.map { day in
            SQLValue.structure([
                SQLValue.Field("day", .date(day)), SQLValue.Field("day_start", .timestamp(Timestamp(startOf: day))),
                SQLValue.Field("day_end", .timestamp(Timestamp(startOf: day.adding(days: 1)))),
                SQLValue.Field("month_start", .timestamp(Timestamp(startOf: day.firstOfMonth))),
            ])
        }
        return [
            SQLValue.Field("days", .array(of: elements[0].type, elements)), SQLValue.Field("today", .date(today)),
            SQLValue.Field("first_day", .date(days[2])),
            SQLValue.Field("today_start", .timestamp(Timestamp(startOf: today))),
            SQLValue.Field("log_start", .timestamp(Timestamp(startOf: days[2].firstOfMonth))),
            SQLValue.Field("log_end", .timestamp(Timestamp(startOf: today.adding(days: 1)))),
            SQLValue.Field("seen_before", .timestamp(instant.adding(.zero - Attestation.earlierLooks[0]))),
            SQLValue.Field("stale_before", .timestamp(instant.adding(.zero - staleAfter))),
            SQLValue.Field("overdue_before", .timestamp(instant.adding(.zero - staleAfter - Self.repairTime))),
        ]
    }

    private static let open = "status IN ('PENDING', 'RUNNING', 'CANCELLING')"
    private static let succeeded = "status IN ('COMPLETED', 'SUCCEEDED', 'SUCCESS')"
    private static let failedStatus = "status IN ('FAILED', 'ERROR', 'TIMEOUT')"
    private static let limitColumns = [
        "daily_limit", "monthly_limit", "concurrent_limit", "seat_limit", "providers_limit",
    ]

    private var tables: String {
        let (counted, ofDay) = (countsAllRuns ? "TRUE" : "r.\(Self.succeeded)", "r.start_time >= d.day_start")
        func isNear(_ column: String) -> String {
            "ABS(\(InspectionSQL.microseconds(from: "q.\(column)", to: "r.ended_at"))) <= \(Self.overlapSeconds)000000"
        }
        func count(_ condition: String) -> String { "COUNT(IF(\(condition), 1, NULL))" }
        let near = "(\(isNear("created_at")) OR \(isNear("written_at")))"
        let limits = Self.limitColumns.joined(separator: ", ")
        return """
            days AS (SELECT d.day, d.day_start, d.day_end, d.month_start FROM UNNEST(@days) AS d),
            quotas AS (
              SELECT
                org_slug, usage_date, `\(daily)` AS daily, pipelines_succeeded_today AS succeeded,
                pipelines_failed_today AS failed, `\(monthly)` AS monthly, concurrent_pipelines_running AS running,
                max_concurrent_reached AS highest, \(limits), created_at, IFNULL(updated_at, created_at) AS written_at
              FROM `organizations.org_usage_quotas` \(InspectionStatement.asOf)
              WHERE usage_date >= @first_day AND usage_date <= @today),
            runs AS (
              SELECT
                pipeline_logging_id, org_slug, status, start_time, IFNULL(end_time, start_time) AS ended_at
              FROM `organizations.org_meta_pipeline_runs` \(InspectionStatement.asOf)
              WHERE start_time >= @log_start AND start_time < @log_end),
            profiles AS (
              SELECT org_slug, status, GREATEST(created_at, IFNULL(updated_at, created_at)) AS changed_at
              FROM `organizations.org_profiles` \(InspectionStatement.asOf)),
            subscriptions AS (
              SELECT
                org_slug, subscription_id, status, created_at, \(limits),
                GREATEST(created_at, IFNULL(updated_at, created_at)) AS changed_at
              FROM `organizations.org_subscriptions` \(InspectionStatement.asOf)),
            live AS (
              SELECT s.org_slug, \(Self.limitColumns.map { "s.\($0)" }.joined(separator: ", ")),
                GREATEST(s.changed_at, p.changed_at) AS changed_at
              FROM (
                SELECT
                  org_slug, \(limits), MAX(changed_at) OVER (PARTITION BY org_slug) AS changed_at,
                  ROW_NUMBER() OVER (PARTITION BY org_slug ORDER BY created_at DESC, subscription_id DESC) AS place
                FROM subscriptions WHERE status IN ('ACTIVE', 'TRIAL')) AS s
              JOIN (
                SELECT org_slug, MAX(changed_at) AS changed_at FROM profiles WHERE status = 'ACTIVE' GROUP BY org_slug) AS p
              ON p.org_slug = s.org_slug
              WHERE s.place = 1 AND s.daily_limit IS NOT NULL),
            known AS (
              SELECT org_slug, MAX(changed_at) AS changed_at
              FROM (
                SELECT org_slug, changed_at FROM profiles
                UNION ALL SELECT org_slug, changed_at FROM subscriptions) AS changes
              GROUP BY org_slug),
            expected AS (
              SELECT
                q.org_slug, q.usage_date, q.created_at, q.written_at,
                \(count("\(ofDay) AND \(counted)")) AS daily,
                \(count("\(ofDay) AND r.\(Self.succeeded)")) AS succeeded,
                \(count("\(ofDay) AND r.\(Self.failedStatus)")) AS failed,
                \(count("\(counted) AND r.start_time IS NOT NULL")) AS monthly,
                \(count("\(counted) AND (\(ofDay) OR \(InspectionSQL.isLater("q.created_at", than: "r.ended_at", by: Self.overlapSeconds)))")) AS monthly_least,
                \(count("\(ofDay) AND r.\(Self.open) AND r.start_time >= @stale_before")) AS running,
                \(count("\(ofDay) AND r.\(Self.open) AND r.start_time >= @stale_before AND r.start_time < @seen_before")) AS seen,
                \(count("\(ofDay) AND \(near)")) AS near
              FROM (SELECT DISTINCT org_slug, usage_date, created_at, written_at FROM quotas) AS q
              JOIN days AS d ON d.day = q.usage_date
              LEFT JOIN runs AS r
              ON r.org_slug = q.org_slug AND r.start_time >= d.month_start AND r.start_time < d.day_end
              GROUP BY q.org_slug, q.usage_date, q.created_at, q.written_at),
            compared AS (
              SELECT
                q.org_slug || ' ' || CAST(q.usage_date AS STRING) AS subject, q.daily, q.succeeded, q.failed, q.monthly,
                q.running, q.highest, e.daily AS log_daily, e.succeeded AS log_succeeded, e.failed AS log_failed,
                e.monthly AS log_monthly, e.monthly_least, e.running AS log_running, e.seen AS log_seen, e.near
              FROM quotas AS q
              JOIN expected AS e
              ON e.org_slug = q.org_slug AND e.usage_date = q.usage_date AND e.created_at = q.created_at
                AND e.written_at = q.written_at)
            """
    }

    /// Every organization with service has one row of each day. A day gone by counts only if any organization has a row of it, so
    /// that a night without a reset is reported on its own day and not on the next two.
    private var rowFindings: [String] {
        let name = Self.rows.name
        return [
            """
            SELECT
              '\(name)' AS invariant, l.org_slug || ' ' || CAST(d.day AS STRING) AS subject,
              'an active organization with a live subscription has no row' AS detail, 2 AS weight
            FROM live AS l
            JOIN days AS d ON l.changed_at < d.day_start
            LEFT JOIN (SELECT DISTINCT org_slug, usage_date FROM quotas) AS q
            ON q.org_slug = l.org_slug AND q.usage_date = d.day
            WHERE q.org_slug IS NULL AND (d.day = @today OR d.day IN (SELECT opened.usage_date FROM quotas AS opened))
            """,
            """
            SELECT
              '\(name)', org_slug || ' ' || CAST(usage_date AS STRING), 'has ' || CAST(COUNT(*) AS STRING) || ' rows', 1
            FROM quotas GROUP BY org_slug, usage_date HAVING COUNT(*) > 1
            """,
            """
            SELECT
              '\(name)', q.org_slug || ' ' || CAST(q.usage_date AS STRING),
              'has a row, although its profile is not ACTIVE or it has no live subscription, and neither changed today', 1
            FROM quotas AS q
            LEFT JOIN live AS l ON l.org_slug = q.org_slug
            LEFT JOIN known AS k ON k.org_slug = q.org_slug
            WHERE q.usage_date = @today AND l.org_slug IS NULL AND (k.org_slug IS NULL OR k.changed_at < @today_start)
            """,
        ]
    }

    private var counterFindings: [String] {
        func finding(
            _ invariant: Invariant, _ column: String, least: String, most: String?, says words: String
        ) -> String {
            let more = most.map { " OR \(column) > \($0)" } ?? ""
            return """
                SELECT
                  '\(invariant.name)', subject || ' \(column)',
                  'is ' || \(InspectionSQL.text(column)) || ', and \(words) ' || CAST(\(least) AS STRING),
                  ABS(IFNULL(\(column), -1) - \(least))
                FROM compared WHERE \(column) IS NULL OR \(column) < \(least)\(more)
                """
        }
        return [
            finding(
                Self.counters, "daily", least: "log_daily", most: "log_daily + near", says: "the run log has"),
            finding(
                Self.counters, "succeeded", least: "log_succeeded", most: "log_succeeded + near",
                says: "the run log has"),
            finding(
                Self.counters, "monthly", least: "monthly_least", most: "log_monthly + near",
                says: "the run log of the month has"),
            finding(Self.failed, "failed", least: "log_failed", most: nil, says: "the run log has"),
            finding(Self.concurrent, "running", least: "log_running", most: "log_running", says: "the run log has"),
            """
            SELECT
              '\(Self.concurrent.name)', subject || ' highest',
              'is ' || \(InspectionSQL.text("highest")) || ', and the runs open for twenty minutes are '
                || CAST(log_seen AS STRING), 1
            FROM compared WHERE IFNULL(highest, 0) < log_seen OR highest < 0
            """,
        ]
    }

    private var limitFinding: String {
        func list(_ table: String) -> String {
            Self.limitColumns.map { InspectionSQL.text("\(table).\($0)") }.joined(separator: " || ' ' || ")
        }
        let differ = Self.limitColumns.map { "q.\($0) IS DISTINCT FROM l.\($0)" }.joined(separator: " OR ")
        return """
            SELECT
              '\(Self.limits.name)', q.org_slug || ' ' || CAST(q.usage_date AS STRING),
              'the limits are ' || \(list("q")) || ', and the subscription has ' || \(list("l")), 1
            FROM quotas AS q JOIN live AS l ON l.org_slug = q.org_slug
            WHERE q.usage_date = @today AND (\(differ))
            """
    }

    private var runFindings: [String] {
        [
            """
            SELECT
              '\(Self.staleRuns.name)', org_slug || ' ' || pipeline_logging_id,
              'is ' || status || ' since ' || CAST(start_time AS STRING),
              DIV(\(InspectionSQL.microseconds(from: "start_time", to: "@instant")), 1000000)
            FROM runs WHERE \(Self.open) AND start_time < @overdue_before
            """,
            """
            SELECT
              '\(Self.statuses.name)', org_slug || ' ' || pipeline_logging_id,
              'has the status ' || \(InspectionSQL.text("status")), 1
            FROM runs
            WHERE status IS NULL
              OR NOT (\(Self.open) OR \(Self.succeeded) OR \(Self.failedStatus) OR status IN ('CANCELLED', 'CANCELED'))
            """,
        ]
    }
}
