package import JobRuntime

/// The names of the two counters in `org_usage_quotas` that some deployments call otherwise.
package struct QuotaColumns: Hashable, Sendable {
    /// Both are column names of BigQuery, so they may stand in SQL within backticks.
    package let daily: String
    package let monthly: String

    package static let standard = QuotaColumns(daily: "current_daily_pipelines", monthly: "current_monthly_pipelines")

    package static let environmentHelp: [(name: String, text: String)] = [
        (
            "QUOTA_DAILY_COLUMN",
            "The daily counter's column in org_usage_quotas. Default: \(standard.daily)."
        ),
        ("QUOTA_MONTHLY_COLUMN", "The monthly counter's column. Default: \(standard.monthly)."),
    ]

    private init(daily: String, monthly: String) {
        self.daily = daily
        self.monthly = monthly
    }

    package init(reading environment: inout EnvironmentReader) {
        daily = Self.column("QUOTA_DAILY_COLUMN", Self.standard.daily, &environment)
        monthly = Self.column("QUOTA_MONTHLY_COLUMN", Self.standard.monthly, &environment)
        if daily.lowercased() == monthly.lowercased() {
            environment.note(
                problem: "QUOTA_DAILY_COLUMN and QUOTA_MONTHLY_COLUMN are both \(quoted(daily)): name two columns")
        }
    }

    private static func column(
        _ variable: String, _ fallback: String, _ environment: inout EnvironmentReader
    ) -> String {
        environment.string(
            variable, default: fallback,
            expected: "the name of its column: a letter or _, then letters, digits and _, at most 300"
        ) { name in
            if !TableRules.isValidColumn(name) { return "is no column name" }
            return others.contains(name.lowercased()) ? "is another column of org_usage_quotas" : nil
        }
    }

    /// Columns with a meaning of their own: a counter written there would destroy them.
    private static let others: Set<String> = [
        "usage_id", "org_slug", "usage_date", "pipelines_succeeded_today", "pipelines_failed_today",
        "concurrent_pipelines_running", "daily_limit", "monthly_limit", "concurrent_limit", "seat_limit",
        "providers_limit", "max_concurrent_reached", "last_pipeline_completed_at", "last_updated", "created_at",
        "updated_at",
    ]
}
