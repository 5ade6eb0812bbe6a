extension QuotaReset {
    package static let dailyHelp = """
        For the UTC day of the run: every ACTIVE organization with an ACTIVE or TRIAL subscription gets a row in \
        organizations.org_usage_quotas. The counters are recounted from the run log (0 at midnight), the limits come from the \
        newest subscription. A row that is there is brought to the same values; one that is right already is not written.

        Safe to run again, late, and twice at the same time: no run is lost, and the second execution ends as skipped.

        EXAMPLES:
          GCP_PROJECT_ID=cloudact-testing-1 QuotaResetDailyJob --dry-run
          GCP_PROJECT_ID=cloudact-prod QuotaResetDailyJob --date 2026-01-31
        """

    package static let monthlyHelp = """
        On the first of a month (UTC): brings current_monthly_pipelines in the rows of that day to the number of runs in the \
        log of its month, and makes the rows that quota-reset-daily has not made. On other days it ends as skipped; --force \
        does the same for the day and its month.

        Safe to run again. It never runs at the same time as quota-reset-daily, which makes the same rows.

        EXAMPLES:
          GCP_PROJECT_ID=cloudact-prod QuotaResetMonthlyJob
          GCP_PROJECT_ID=cloudact-prod QuotaResetMonthlyJob --now 2026-01-15T12:00:00Z --force --dry-run
        """
}

extension StaleRunCleaner {
    package static let help = """
        Runs that have been PENDING or RUNNING for longer than STALE_AFTER_MINUTES become FAILED, with an end, a duration and \
        the reason. Then concurrent_pipelines_running is recounted in the rows of the last three days (days before today: 0), \
        max_concurrent_reached is raised to it, and pipelines_failed_today recounted. The run log is read STALE_LOOKBACK_DAYS back and no further. Every counter that \
        changes is logged with its old and new value.

        Safe to run again, and twice at the same time; with nothing to repair it only reads.

        EXAMPLE:
          GCP_PROJECT_ID=cloudact-testing-1 StaleCleanupJob --dry-run
        """
}

extension QuotaRetention {
    package static let help = """
        Deletes the rows of organizations.org_usage_quotas that are older than DAYS_TO_KEEP days, whole partitions at once. The \
        day exactly that long ago is kept. --dry-run counts.

        Safe to run again: a second run finds nothing.

        EXAMPLE:
          GCP_PROJECT_ID=cloudact-prod DAYS_TO_KEEP=120 QuotaCleanupJob --dry-run
        """
}
