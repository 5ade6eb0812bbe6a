import ArgumentParser
import JobRuntime
import QuotaKit
import Warehouse
import WarehouseKit

/// Recounts the monthly quota counter on the first of a month. Running it again loses no count.
@main
struct QuotaResetMonthlyJob: ScheduledJob {
    static let name = "quota-reset-monthly"
    static let purpose = "Recounts the monthly quota counter of every active organization on the first of a month."
    static let isExclusive = true
    static let discussion = """
        On the first of a month (UTC), the job sets the monthly counter in the rows of that day to the number of successful \
        runs in the log of the month (QUOTA_COUNTS), and creates the rows that quota-reset-daily has not created. On any other \
        day it ends as skipped, unless --force is given.

        It is safe to run the job again. It never works at the same time as quota-reset-daily, which creates the same rows.

        EXAMPLES:
          GCP_PROJECT_ID=cloudact-prod QuotaResetMonthlyJob
          GCP_PROJECT_ID=cloudact-prod QuotaResetMonthlyJob --now 2026-01-15T12:00:00Z --force --dry-run
        """

    struct Options: ParsableArguments, Sendable {
        @Flag(help: "Run on any day, not only on the first of a month, and also for a day in the future.")
        var force = false
    }

    struct Settings: JobSettings {
        let warehouse: WarehouseSettings
        let columns: QuotaColumns
        let counts: QuotaCounts
        let staleAfter: StaleAge

        init(reading environment: inout EnvironmentReader) {
            warehouse = WarehouseSettings(reading: &environment, mostTables: 5)
            columns = QuotaColumns(reading: &environment)
            counts = QuotaCounts(reading: &environment)
            staleAfter = StaleAge(reading: &environment)
        }
    }

    let options: Options
    let settings: Settings

    static func scheduleNeed(_ settings: Settings) -> ScheduleNeed? {
        ScheduleNeed(.firstOfEveryMonth, because: "the job is skipped on every other day (UTC)")
    }

    func run(_ run: Run) async throws {
        guard run.now.date.day == 1 || options.force else {
            throw RunSkipped("\(run.now.date) is not the first of a month; --force runs on any day")
        }
        let objection = QuotaReset.objection(to: run.now.date, wallClock: Timestamp.wallClock())
        try run.requireForce(options.force, because: objection)
        let warehouse = try await run.openWarehouse(settings.warehouse, excluding: ["quota-reset-daily"])
        let reset = QuotaReset(
            warehouse: warehouse.sql, columns: settings.columns, counts: settings.counts,
            staleAfter: settings.staleAfter.duration, fence: warehouse.fence, report: run.report,
            isDryRun: run.isDryRun, clock: { run.clock })
        try await reset.recountMonth(at: run.now)
    }
}
