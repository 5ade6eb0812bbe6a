package import JobRuntime
package import Warehouse

/// The names of the two counters in `org_usage_quotas` that differ between deployments.
///
/// A warehouse has one of two pairs. Unless the environment names the columns, the jobs use the pair that the table has, and a
/// table with columns of both pairs is a failure: which of them the API service reads is not known here.
///
/// ```swift
/// let columns = QuotaColumns(reading: &environment)
/// ```
package struct QuotaColumns: Hashable, Sendable {
    /// Both are checked column names, so they may stand in SQL within backticks.
    package let daily: String
    package let monthly: String
    /// Whether the environment names them. The jobs then use no other pair.
    package let isChosen: Bool

    package static let standard = QuotaColumns(
        daily: "current_daily_pipelines", monthly: "current_monthly_pipelines", isChosen: false)
    /// The names in warehouses that the jobs in Python have created.
    package static let predecessor = QuotaColumns(
        daily: "pipelines_run_today", monthly: "pipelines_run_month", isChosen: false)

    private init(daily: String, monthly: String, isChosen: Bool) {
        self.daily = daily
        self.monthly = monthly
        self.isChosen = isChosen
    }

    package init(reading environment: inout EnvironmentReader) {
        daily = Self.column(
            Self.variables[0], Self.standard.daily, "The daily counter's column in org_usage_quotas.", &environment)
        monthly = Self.column(
            Self.variables[1], Self.standard.monthly, "The monthly counter's column in org_usage_quotas.", &environment)
        let variables = environment.variables
        isChosen = Self.variables.contains { variables[$0]?.isEmpty == false }
        if daily.lowercased() == monthly.lowercased() {
            environment.note(
                problem: "QUOTA_DAILY_COLUMN and QUOTA_MONTHLY_COLUMN are both \(quoted(daily)): name two columns",
                with: Self.variables)
        }
    }

    private static let variables = ["QUOTA_DAILY_COLUMN", "QUOTA_MONTHLY_COLUMN"]

    package static let table = TableReference(DatasetID.organizations, "org_usage_quotas")!

    /// The pair of a table with these columns.
    /// - Throws: ``RunFailure`` if nothing is chosen and the table has columns of both pairs.
    package func pair(in columns: some Sequence<String>) throws -> QuotaColumns {
        guard !isChosen else { return self }
        let present = Set(columns.map { $0.lowercased() })
        let (own, other) = (
            Self.standard.names.filter(present.contains), Self.predecessor.names.filter(present.contains)
        )
        guard own.isEmpty || other.isEmpty else {
            throw RunFailure(
                operation: "counters of \(Self.table)",
                reason:
                    "the table has \((own + other).joined(separator: ", ")), and only one pair is counted by the API "
                    + "service: set QUOTA_DAILY_COLUMN and QUOTA_MONTHLY_COLUMN to the pair that it reads")
        }
        return other.isEmpty ? .standard : .predecessor
    }

    package var names: [String] { [daily, monthly] }

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
