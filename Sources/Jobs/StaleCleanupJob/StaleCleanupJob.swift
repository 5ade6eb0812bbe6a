import JobRuntime
import QuotaKit
import Warehouse
import WarehouseKit

/// Ends crashed pipeline runs and repairs the counters that they left behind. With nothing to repair it only reads.
@main
struct StaleCleanupJob: ScheduledJob {
    static let name = "stale-cleanup"
    static let purpose = "Marks crashed pipeline runs as failed and repairs the concurrent counters."
    static let isExclusive = true
    static let access: [JobAccess] = [.runsQueries, .writes(.organizations), .writes(.schedulerJobs)]
    static let discussion = """
        Runs that have been PENDING or RUNNING for longer than STALE_AFTER_MINUTES become FAILED, with an end, a duration and \
        the reason. Then the job recounts concurrent_pipelines_running in the rows of the last three days (days before today: \
        0), raises max_concurrent_reached to it, and recounts pipelines_failed_today. It reads the run log of the last \
        STALE_LOOKBACK_DAYS days. It logs every counter that changes, with its old and its new value.

        It is safe to run the job again. With nothing to repair it only reads. If two executions overlap, the second one is \
        skipped.

        EXAMPLE:
          GCP_PROJECT_ID=cloudact-testing-1 StaleCleanupJob --dry-run
        """

    struct Settings: JobSettings {
        let warehouse: WarehouseSettings
        let staleAfter: StaleAge
        let lookbackDays: Int

        init(reading environment: inout EnvironmentReader) {
            warehouse = WarehouseSettings(reading: &environment, mostTables: 3)
            staleAfter = StaleAge(reading: &environment)
            lookbackDays = environment.integer(
                "STALE_LOOKBACK_DAYS", default: 7, in: 1...366,
                help: "The job reads the run log that many days back from today.")
            let names = ["STALE_AFTER_MINUTES", "STALE_LOOKBACK_DAYS"]
            if !environment.hasProblem(with: names), staleAfter.minutes > lookbackDays * 1440 {
                environment.note(
                    problem: "STALE_AFTER_MINUTES=\(staleAfter.minutes) is longer than "
                        + "STALE_LOOKBACK_DAYS=\(lookbackDays): no run that old is read", with: names)
            }
        }
    }

    let options: NoOptions
    let settings: Settings

    func run(_ run: Run) async throws {
        let warehouse = try await run.openWarehouse(settings.warehouse)
        let cleaner = StaleRunCleaner(
            warehouse: warehouse.sql, staleAfter: settings.staleAfter, lookbackDays: settings.lookbackDays,
            report: run.report, logger: run.logger, isDryRun: run.isDryRun)
        try await cleaner.clean(at: run.now)
    }
}
