import ArgumentParser
package import JobRuntime
package import WarehouseKit

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
    @Flag(help: "Delete days of the last 31, too: with DAYS_TO_KEEP under 31, or a --date in the future.")
    package var force = false

    package init() {}
}

extension QuotaRetentionSettings {
    /// Why the run must not go on without `--force`: it would delete days that the counters of the current month need. A day of
    /// the run that lies in the future does that, too.
    /// - Parameter wallClock: When it really is.
    func objection(at now: Timestamp, wallClock: Timestamp) -> String? {
        let fewest = Self.fewestWithoutForce
        if daysToKeep < fewest {
            return "DAYS_TO_KEEP=\(daysToKeep) would delete days of the current month, which its counters need: "
                + "set it to \(fewest) or more, or add --force"
        }
        guard now.date.adding(days: -daysToKeep) > wallClock.date.adding(days: -fewest) else { return nil }
        return "as of \(now.date), DAYS_TO_KEEP=\(daysToKeep) would delete days of the last \(fewest): add --force"
    }
}

extension JobContext where Job.Settings == QuotaRetentionSettings, Job.Options == QuotaRetentionOptions {
    package func withQuotaRetention(_ work: (QuotaRetention) async throws -> Void) async throws {
        let objection = settings.objection(at: now, wallClock: Timestamp.wallClock())
        if let objection, !options.force { throw ConfigurationError(objection) }
        try await withLeasedWarehouse { warehouse in
            try await work(
                QuotaRetention(
                    warehouse: warehouse, daysToKeep: settings.daysToKeep, report: report, isDryRun: isDryRun))
        }
    }
}
