import ArgumentParser
import JobRuntime
import QuotaKit
import Warehouse
import WarehouseKit

/// Deletes quota rows that are older than DAYS_TO_KEEP days.
@main
struct QuotaCleanupJob: ScheduledJob {
    static let name = "quota-cleanup"
    static let purpose = "Deletes old rows of the quota counters."
    static let isExclusive = true
    static let access: [JobAccess] = [.runsQueries, .writes(.organizations), .writes(.schedulerJobs)]
    static let discussion = """
        Deletes the rows of organizations.org_usage_quotas that are older than DAYS_TO_KEEP days, whole partitions at once. \
        The day exactly that long ago is kept. --dry-run counts the rows.

        Safe to run again: a second run finds nothing.

        EXAMPLE:
          GCP_PROJECT_ID=cloudact-prod DAYS_TO_KEEP=120 QuotaCleanupJob --dry-run
        """

    struct Options: ParsableArguments, Sendable {
        @Flag(help: "Delete days of the last 31, too: with DAYS_TO_KEEP under 31, or a --date in the future.")
        var force = false
    }

    struct Settings: JobSettings {
        let warehouse: WarehouseSettings
        let daysToKeep: Int

        init(reading environment: inout EnvironmentReader) {
            warehouse = WarehouseSettings(reading: &environment)
            daysToKeep = environment.integer(
                "DAYS_TO_KEEP", default: 90, in: 1...36_500,
                help: "The job deletes rows that are older than that many days. Fewer than 31 need --force.")
        }
    }

    let options: Options
    let settings: Settings

    func run(_ run: Run) async throws {
        if !options.force,
            let objection = QuotaRetention.objection(
                toKeepingDays: settings.daysToKeep, at: run.now, wallClock: Timestamp.wallClock())
        {
            throw ConfigurationError(objection)
        }
        let warehouse = try await run.openWarehouse(settings.warehouse)
        let retention = QuotaRetention(
            warehouse: warehouse.sql, daysToKeep: settings.daysToKeep, report: run.report, isDryRun: run.isDryRun)
        try await retention.deleteOldRows(at: run.now)
    }
}
