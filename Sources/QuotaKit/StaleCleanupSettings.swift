package import JobRuntime
package import WarehouseKit

/// What `stale-cleanup` reads from the environment.
package struct StaleCleanupSettings: LeaseUser {
    package let warehouse: WarehouseSettings
    package let lease: LeaseSettings
    package let staleAfter: StaleAge
    package let lookbackDays: Int

    package static let environmentHelp =
        WarehouseSettings.environmentHelp + StaleAge.environmentHelp + [
            ("STALE_LOOKBACK_DAYS", "How many days before today the run log is read. Default: 7.")
        ] + LeaseSettings.environmentHelp

    package init(reading environment: inout EnvironmentReader) {
        warehouse = WarehouseSettings(reading: &environment)
        lease = LeaseSettings(reading: &environment)
        staleAfter = StaleAge(reading: &environment)
        lookbackDays = environment.integer("STALE_LOOKBACK_DAYS", default: 7, in: 1...366)
        let names = ["STALE_AFTER_MINUTES", "STALE_LOOKBACK_DAYS"]
        if !environment.hasProblem(with: names), staleAfter.minutes > lookbackDays * 1440 {
            environment.note(
                problem:
                    "STALE_AFTER_MINUTES=\(staleAfter.minutes) is longer than STALE_LOOKBACK_DAYS=\(lookbackDays): "
                    + "no run that old is read")
        }
    }
}

extension JobContext where Job.Settings == StaleCleanupSettings {
    package func withStaleRunCleaner(_ work: (StaleRunCleaner) async throws -> Void) async throws {
        try await withLeasedWarehouse { warehouse in
            try await work(
                StaleRunCleaner(
                    warehouse: warehouse, staleAfter: settings.staleAfter, lookbackDays: settings.lookbackDays,
                    report: report, logger: logger, isDryRun: isDryRun))
        }
    }
}
