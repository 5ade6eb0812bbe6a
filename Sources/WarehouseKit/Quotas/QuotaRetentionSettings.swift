import ArgumentParser
package import JobRuntime

/// What `quota-cleanup` reads from the environment.
package struct QuotaRetentionSettings: LeaseUser {
    package let warehouse: WarehouseSettings
    package let lease: LeaseSettings
    package let daysToKeep: Int

    /// With less than the longest month, the monthly counters of its first days would be deleted within it.
    static let fewestWithoutForce = 31

    package static let environmentHelp =
        WarehouseSettings.environmentHelp + [
            ("DAYS_TO_KEEP", "Rows older than that many days are deleted; under 31 needs --force. Default: 90.")
        ] + LeaseSettings.environmentHelp

    package init(reading environment: inout EnvironmentReader) {
        warehouse = WarehouseSettings(reading: &environment)
        lease = LeaseSettings(reading: &environment)
        daysToKeep = environment.integer("DAYS_TO_KEEP", default: 90, in: 1...36_500)
    }
}

/// The flags of `quota-cleanup`.
package struct QuotaRetentionOptions: ParsableArguments, Sendable {
    @Flag(help: "Accept a DAYS_TO_KEEP under 31, which deletes days of the current month.")
    package var force = false

    package init() {}
}

extension JobContext where Job.Settings == QuotaRetentionSettings, Job.Options == QuotaRetentionOptions {
    package func withQuotaRetention(_ work: (QuotaRetention) async throws -> Void) async throws {
        let days = settings.daysToKeep
        guard days >= QuotaRetentionSettings.fewestWithoutForce || options.force else {
            throw ConfigurationError(
                "DAYS_TO_KEEP=\(days) would delete days of the current month, which its counters need: "
                    + "set it to 31 or more, or add --force")
        }
        try await withLeasedWarehouse { warehouse in
            try await work(
                QuotaRetention(warehouse: warehouse, daysToKeep: days, report: report, isDryRun: isDryRun))
        }
    }
}
