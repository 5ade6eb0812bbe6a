import ArgumentParser
import JobRuntime
import QuotaKit
import Warehouse
import WarehouseKit

/// Deletes old rows of the quota counters, and of the service's own state.
@main
struct QuotaCleanupJob: ScheduledJob {
    static let name = "quota-cleanup"
    static let purpose = "Deletes old rows of the quota counters, the run history and the billing queue."
    static let isExclusive = true
    static let discussion = """
        The job deletes the rows of organizations.org_usage_quotas that are older than DAYS_TO_KEEP days, and in scheduler_jobs \
        the rows of job_runs that are older than HISTORY_DAYS_TO_KEEP days. The same age counts for items of \
        billing_sync_queue that are done, and for leases that are free and were not taken since. It keeps the day exactly that \
        long ago. --dry-run counts the rows.

        It is safe to run the job again. A second run finds nothing.

        EXAMPLE:
          GCP_PROJECT_ID=cloudact-prod DAYS_TO_KEEP=120 QuotaCleanupJob --dry-run
        """

    struct Options: ParsableArguments, Sendable {
        @Flag(help: "Also run for a day in the future, with which rows are deleted that are not old enough yet.")
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
                help:
                    "The job deletes rows of the run history that are older than so many days, and old items of the queue."
            )
        }
    }

    let options: Options
    let settings: Settings

    func run(_ run: Run) async throws {
        let objection = settings.daysToKeep.objection(at: run.now, wallClock: Timestamp.wallClock())
        try run.requireForce(options.force, because: objection)
        let warehouse = try await run.openWarehouse(settings.warehouse)
        let history = settings.historyDaysToKeep
        let periods = [
            (AgingTable.usageQuotas, settings.daysToKeep.days), (.runHistory, history), (.billingQueue, history),
            (.freeLeases, history),
        ]
        for (table, days) in periods {
            let retention = RowRetention(
                of: table, warehouse: warehouse.sql, report: run.report, isDryRun: run.isDryRun)
            try await retention.deleteRows(before: run.now.date.adding(days: -days))
        }
    }
}
