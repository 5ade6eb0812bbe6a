import ArgumentParser
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
    static let discussion = """
        Runs that have been PENDING, RUNNING or CANCELLING for longer than STALE_AFTER_MINUTES become FAILED, with an end, a \
        duration and the reason. Then the job recounts the rows of the last three days: concurrent_pipelines_running counts the \
        open runs that started on the row's day; max_concurrent_reached and pipelines_failed_today are raised and never \
        lowered. It reads the run log of the last STALE_LOOKBACK_DAYS days. In the first hour of a day (UTC) and in a dry run it \
        also reads the whole log and reports open runs that are older. It logs every counter that changes, with its old and \
        its new value.

        With --date the rows of a day gone by and of the two before are recounted as of now. --now runs as if it were that \
        instant.

        It is safe to run the job again. With nothing to repair it only reads. If two executions overlap, the second one is \
        skipped.

        EXAMPLE:
          GCP_PROJECT_ID=cloudact-testing-1 StaleCleanupJob --dry-run
        """

    struct Options: ParsableArguments, Sendable {
        @Flag(help: "Also run for a time in the future, which ends runs that are alive.")
        var force = false
    }

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

    let options: Options
    let settings: Settings

    static func scheduleNeed(_ settings: Settings) -> ScheduleNeed? {
        let longest = max(3600, 86_400 * settings.lookbackDays - 60 * settings.staleAfter.minutes)
        return ScheduleNeed(
            .pause(atMost: .seconds(longest)),
            because: "a run that hangs must be found before it is older than STALE_LOOKBACK_DAYS")
    }

    func run(_ run: Run) async throws {
        let objection = StaleRunCleaner.objection(to: run.now, wallClock: Timestamp.wallClock())
        try run.requireForce(options.force, because: objection)
        let warehouse = try await run.openWarehouse(settings.warehouse)
        let cleaner = StaleRunCleaner(
            warehouse: warehouse.sql, staleAfter: settings.staleAfter, lookbackDays: settings.lookbackDays,
            report: run.report, logger: run.logger, isDryRun: run.isDryRun)
        try await cleaner.clean(run.now.date, at: run.clock)
    }
}
