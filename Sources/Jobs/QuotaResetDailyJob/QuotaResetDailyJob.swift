import ArgumentParser
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
    static let discussion = """
        For the UTC day of the run, every ACTIVE organization with an ACTIVE or TRIAL subscription gets a row in \
        organizations.org_usage_quotas. The counters are recounted from the run log: the daily and the monthly counter count \
        successful runs by the day of their start, as the API service does (QUOTA_COUNTS). The limits come from the newest \
        subscription; a day gone by keeps its limits. The job corrects an existing row that differs. It does not write a row \
        that is right.

        It is safe to run the job again or late: it loses no count. If two executions overlap, the second one is skipped.

        EXAMPLES:
          GCP_PROJECT_ID=cloudact-testing-1 QuotaResetDailyJob --dry-run
          GCP_PROJECT_ID=cloudact-prod QuotaResetDailyJob --date 2026-01-31
        """

    struct Options: ParsableArguments, Sendable {
        @Flag(help: "Also run for a day in the future, or more than five years ago.")
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
        ScheduleNeed(.everyDay, because: "the job opens the counters of a UTC day, and should do so while it begins")
    }

    func run(_ run: Run) async throws {
        let objection = QuotaReset.objection(to: run.now.date, wallClock: Timestamp.wallClock())
        try run.requireForce(options.force, because: objection)
        let warehouse = try await run.openWarehouse(settings.warehouse)
        let reset = QuotaReset(
            warehouse: warehouse.sql, columns: settings.columns, counts: settings.counts,
            staleAfter: settings.staleAfter.duration, fence: warehouse.fence, report: run.report,
            isDryRun: run.isDryRun, clock: { run.clock })
        try await reset.openDay(at: run.now)
    }
}
