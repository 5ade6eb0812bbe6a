package import JobRuntime
import Warehouse
import WarehouseKit

/// The tables that the quota jobs work on.
enum QuotaTables {
    static let quotas = AgingTable.usageQuotas.table
    static let runs = TableReference(DatasetID.organizations, "org_meta_pipeline_runs")!
    static let subscriptions = TableReference(DatasetID.organizations, "org_subscriptions")!
    static let profiles = OrganizationDirectory.profiles
}

/// The values of `org_meta_pipeline_runs.status`, as SQL lists. A run with any other status only counts as started.
///
/// PENDING, RUNNING and FAILED are the table's own words. The others are an assumption about the services that write the log.
/// Case counts: the table is clustered by status, and a word in another case counts among the unknown ones.
enum RunStatuses {
    static let open = "('PENDING', 'RUNNING')"
    static let succeeded = "('COMPLETED', 'SUCCEEDED', 'SUCCESS')"
    static let failed = "('FAILED', 'ERROR', 'TIMEOUT')"
    /// All statuses above, and those of a canceled run.
    static let known = """
        ('PENDING', 'RUNNING', 'COMPLETED', 'SUCCEEDED', 'SUCCESS', 'FAILED', 'ERROR', 'TIMEOUT', 'CANCELLED', 'CANCELED')
        """

    /// Counts the runs that meet the condition. COUNTIF would be many times slower on SQLite, which has COUNT and IF built in.
    static func count(_ condition: String) -> String { "COUNT(IF(\(condition), 1, NULL))" }
}

/// A UTC day with the bounds that the counters need.
struct QuotaDay: Hashable, Sendable {
    let date: CivilDate

    init(_ date: CivilDate) {
        self.date = date
    }

    var start: Timestamp { Timestamp(startOf: date) }
    /// Exclusive.
    var end: Timestamp { Timestamp(startOf: date.adding(days: 1)) }
    var monthStart: Timestamp { Timestamp(startOf: date.firstOfMonth) }
    /// Exclusive.
    var monthEnd: Timestamp { Timestamp(startOf: date.firstOfMonth.adding(days: 32).firstOfMonth) }
    /// `20260131`
    var compact: String { String(date.description.filter { $0 != "-" }) }
}

/// The names of the two counters in `org_usage_quotas` that differ between deployments.
package struct QuotaColumns: Hashable, Sendable {
    /// Both are checked column names, so they may stand in SQL within backticks.
    package let daily: String
    package let monthly: String

    package static let standard = QuotaColumns(daily: "current_daily_pipelines", monthly: "current_monthly_pipelines")

    private init(daily: String, monthly: String) {
        self.daily = daily
        self.monthly = monthly
    }

    package init(reading environment: inout EnvironmentReader) {
        daily = Self.column(
            "QUOTA_DAILY_COLUMN", Self.standard.daily, "The daily counter's column in org_usage_quotas.", &environment)
        monthly = Self.column(
            "QUOTA_MONTHLY_COLUMN", Self.standard.monthly, "The monthly counter's column in org_usage_quotas.",
            &environment)
        if daily.lowercased() == monthly.lowercased() {
            environment.note(
                problem: "QUOTA_DAILY_COLUMN and QUOTA_MONTHLY_COLUMN are both \(quoted(daily)): name two columns",
                with: ["QUOTA_DAILY_COLUMN", "QUOTA_MONTHLY_COLUMN"])
        }
    }

    private static func column(
        _ variable: String, _ fallback: String, _ help: String, _ environment: inout EnvironmentReader
    ) -> String {
        environment.string(
            variable, default: fallback,
            expected: "the name of its column: a letter or _, then letters, digits and _, at most 300", help: help
        ) { name in
            if !ColumnName.isPlain(name) { return "is no column name" }
            return others.contains(name.lowercased()) ? "is another column of org_usage_quotas" : nil
        }
    }

    /// The table's other columns. A counter written there would destroy their values.
    private static let others: Set<String> = [
        "usage_id", "org_slug", "usage_date", "pipelines_succeeded_today", "pipelines_failed_today",
        "concurrent_pipelines_running", "daily_limit", "monthly_limit", "concurrent_limit", "seat_limit",
        "providers_limit", "max_concurrent_reached", "last_pipeline_completed_at", "last_updated", "created_at",
        "updated_at",
    ]
}

/// The time after which a run that has not ended counts as crashed.
package struct StaleAge: Sendable {
    package let minutes: Int

    package var duration: Duration { .seconds(60 * minutes) }

    package init(minutes: Int) {
        self.minutes = minutes
    }

    package init(reading environment: inout EnvironmentReader) {
        minutes = environment.integer(
            "STALE_AFTER_MINUTES", default: 60, in: 1...44_640,
            help: "A run that is PENDING or RUNNING for longer than that many minutes counts as crashed.")
    }
}

/// How many days the rows of `org_usage_quotas` are kept.
package struct QuotaDaysToKeep: Sendable {
    /// With fewer days than the longest month has, the monthly counters of its first days would be deleted within it.
    static let fewestWithoutForce = 31

    package let days: Int

    package init(reading environment: inout EnvironmentReader) {
        days = environment.integer(
            "DAYS_TO_KEEP", default: 90, in: 1...36_500,
            help: "The job deletes quota rows that are older than that many days. Fewer than 31 need --force.")
    }

    /// The reason why the run needs `--force`: it would delete days that the counters of the current month need. A day of the
    /// run that lies in the future has the same effect.
    /// - Parameter wallClock: The present time, which `--date` does not change.
    package func objection(at now: Timestamp, wallClock: Timestamp) -> String? {
        let fewest = Self.fewestWithoutForce
        if days < fewest {
            return "DAYS_TO_KEEP=\(days) would delete days of the current month, which its counters need: "
                + "set it to \(fewest) or more, or add --force"
        }
        guard now.date.adding(days: -days) > wallClock.date.adding(days: -fewest) else { return nil }
        return "as of \(now.date), DAYS_TO_KEEP=\(days) would delete days of the last \(fewest): add --force"
    }
}
