import JobRuntime
import QuotaKit
import Warehouse
import WarehouseKit

/// Opens the quota counters of the UTC day for every active organization. Running it again loses no count.
@main
struct QuotaResetDailyJob: ScheduledJob {
    static let name = "quota-reset-daily"
    static let purpose = "Opens the day's quota counters of every active organization."
    static let isExclusive = true
    static let access: [JobAccess] = [.runsQueries, .writes(.organizations), .writes(.schedulerJobs)]
    static let discussion = """
        For the UTC day of the run, every ACTIVE organization with an ACTIVE or TRIAL subscription gets a row in \
        organizations.org_usage_quotas. The counters are recounted from the run log (0 at midnight), and the limits come from \
        the newest subscription. The job corrects an existing row that differs. It does not write a row that is right.

        It is safe to run the job again or late: it loses no count. If two executions overlap, the second one is skipped.

        EXAMPLES:
          GCP_PROJECT_ID=cloudact-testing-1 QuotaResetDailyJob --dry-run
          GCP_PROJECT_ID=cloudact-prod QuotaResetDailyJob --date 2026-01-31
        """

    struct Settings: JobSettings {
        let warehouse: WarehouseSettings
        let columns: QuotaColumns
        let staleAfter: StaleAge

        init(reading environment: inout EnvironmentReader) {
            warehouse = WarehouseSettings(reading: &environment, mostTables: 5)
            columns = QuotaColumns(reading: &environment)
            staleAfter = StaleAge(reading: &environment)
        }
    }

    let options: NoOptions
    let settings: Settings

    func run(_ run: Run) async throws {
        let warehouse = try await run.openWarehouse(settings.warehouse)
        let reset = QuotaReset(
            warehouse: warehouse.sql, columns: settings.columns, staleAfter: settings.staleAfter.duration,
            fence: warehouse.fence, report: run.report, isDryRun: run.isDryRun)
        try await reset.openDay(at: run.now)
    }
}
