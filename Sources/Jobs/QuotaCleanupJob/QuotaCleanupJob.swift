import ArgumentParser
import JobRuntime
import QuotaKit
import Warehouse
import WarehouseKit

/// Deletes old rows of the quota counters and of the run history.
@main
struct QuotaCleanupJob: ScheduledJob {
    static let name = "quota-cleanup"
    static let purpose = "Deletes old rows of the quota counters and of the run history."
    static let isExclusive = true
    static let access: [JobAccess] = [.runsQueries, .writes(.organizations), .writes(.schedulerJobs)]
    static let discussion = """
        The job deletes the rows of organizations.org_usage_quotas that are older than DAYS_TO_KEEP days, and the rows of \
        scheduler_jobs.job_runs that are older than HISTORY_DAYS_TO_KEEP days, whole partitions at once. It keeps the day \
        exactly that long ago. --dry-run counts the rows.

        It is safe to run the job again. A second run finds nothing.

        EXAMPLE:
          GCP_PROJECT_ID=cloudact-prod DAYS_TO_KEEP=120 QuotaCleanupJob --dry-run
        """

    struct Options: ParsableArguments, Sendable {
        @Flag(help: "Also delete days of the last 31, with DAYS_TO_KEEP under 31 or with a --date in the future.")
        var force = false
    }

    struct Settings: JobSettings {
        let warehouse: WarehouseSettings
        let daysToKeep: QuotaDaysToKeep
        let historyDaysToKeep: Int

        init(reading environment: inout EnvironmentReader) {
            warehouse = WarehouseSettings(reading: &environment, mostTables: 2)
            daysToKeep = QuotaDaysToKeep(reading: &environment)
            historyDaysToKeep = environment.integer(
                "HISTORY_DAYS_TO_KEEP", default: 400, in: 1...36_500,
                help: "The job deletes rows of the run history that are older than so many days.")
        }
    }

    let options: Options
    let settings: Settings

    func run(_ run: Run) async throws {
        let objection = settings.daysToKeep.objection(at: run.now, wallClock: Timestamp.wallClock())
        if let objection, !options.force { throw ConfigurationError(objection) }
        let warehouse = try await run.openWarehouse(settings.warehouse)
        let periods = [(AgingTable.usageQuotas, settings.daysToKeep.days), (.runHistory, settings.historyDaysToKeep)]
        for (table, days) in periods {
            let retention = RowRetention(
                of: table, warehouse: warehouse.sql, report: run.report, isDryRun: run.isDryRun)
            try await retention.deleteRows(before: run.now.date.adding(days: -days))
        }
    }
}
