/// The tables that the quota jobs work on.
enum QuotaTables {
    static let quotas = TableReference(Catalog.organizationsDataset, "org_usage_quotas")!
    static let runs = TableReference(Catalog.organizationsDataset, "org_meta_pipeline_runs")!
    static let subscriptions = TableReference(Catalog.organizationsDataset, "org_subscriptions")!
    static let profiles = OrganizationDirectory.profiles
}

/// What `org_meta_pipeline_runs.status` says, as SQL lists. A run with any other status counts as started and no more.
///
/// PENDING, RUNNING and FAILED are the table's own words; the others are an assumption about those who write the log. Compared as
/// they are: the table is clustered by status, and a word in another case shows up among the unknown ones.
enum RunStatuses {
    static let open = "('PENDING', 'RUNNING')"
    static let succeeded = "('COMPLETED', 'SUCCEEDED', 'SUCCESS')"
    static let failed = "('FAILED', 'ERROR', 'TIMEOUT')"
    /// With what is neither a success nor a failure.
    static let known = """
        ('PENDING', 'RUNNING', 'COMPLETED', 'SUCCEEDED', 'SUCCESS', 'FAILED', 'ERROR', 'TIMEOUT', 'CANCELLED', 'CANCELED')
        """

    /// How many runs meet the condition. Not COUNTIF: SQLite has COUNT and IF built in, which is many times faster there.
    static func count(_ condition: String) -> String { "COUNT(IF(\(condition), 1, NULL))" }
}
