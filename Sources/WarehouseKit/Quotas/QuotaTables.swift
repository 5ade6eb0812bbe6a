/// The tables that the quota jobs work on.
enum QuotaTables {
    static let quotas = TableReference(Catalog.organizationsDataset, "org_usage_quotas")!
    static let runs = TableReference(Catalog.organizationsDataset, "org_meta_pipeline_runs")!
    static let subscriptions = TableReference(Catalog.organizationsDataset, "org_subscriptions")!
    static let profiles = OrganizationDirectory.profiles
}

/// What `org_meta_pipeline_runs.status` says, as SQL lists. A run with any other status counts as started and no more.
enum RunStatuses {
    static let open = "('PENDING', 'RUNNING')"
    static let succeeded = "('COMPLETED', 'SUCCEEDED', 'SUCCESS')"
    static let failed = "('FAILED', 'ERROR', 'TIMEOUT')"
}
