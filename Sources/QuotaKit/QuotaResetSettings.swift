import ArgumentParser
package import JobRuntime
package import WarehouseKit

/// What `quota-reset-daily` and `quota-reset-monthly` read from the environment.
package struct QuotaResetSettings: LeaseUser {
    package let warehouse: WarehouseSettings
    package let lease: LeaseSettings
    package let columns: QuotaColumns
    package let staleAfter: StaleAge

    package static let environmentHelp =
        WarehouseSettings.environmentHelp + StaleAge.environmentHelp + QuotaColumns.environmentHelp
        + LeaseSettings.environmentHelp

    package init(reading environment: inout EnvironmentReader) {
        warehouse = WarehouseSettings(reading: &environment)
        lease = LeaseSettings(reading: &environment)
        columns = QuotaColumns(reading: &environment)
        staleAfter = StaleAge(reading: &environment)
    }
}

/// The flags of `quota-reset-monthly`.
package struct QuotaResetMonthlyOptions: ParsableArguments, Sendable {
    @Flag(help: "Run on any day, not only on the first of a month.")
    package var force = false

    package init() {}
}

extension JobContext where Job.Settings == QuotaResetSettings {
    /// - Parameter others: Jobs that make the same rows, and must not run at the same time.
    package func withQuotaReset(
        excluding others: [String] = [], _ work: (QuotaReset) async throws -> Void
    ) async throws {
        try await withFencedWarehouse(excluding: others) { warehouse, fence in
            try await work(
                QuotaReset(
                    warehouse: warehouse, columns: settings.columns, staleAfter: settings.staleAfter.duration,
                    fence: fence, report: report, isDryRun: isDryRun))
        }
    }
}

extension JobContext where Job.Settings == QuotaResetSettings, Job.Options == QuotaResetMonthlyOptions {
    /// Does the work of the month on its first day, and on others with `--force` only.
    package func withMonthlyReset(_ work: (QuotaReset) async throws -> Void) async throws {
        guard now.date.day == 1 || options.force else {
            return report.skip("\(now.date) is not the first of a month; --force runs on any day")
        }
        try await withQuotaReset(excluding: [QuotaReset.dailyJob], work)
    }
}
