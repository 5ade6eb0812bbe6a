import JobRuntime
import QuotaKit
import WarehouseKit

/// Ends crashed pipeline runs and repairs the counters that they left behind. With nothing to repair it only reads.
@main
struct StaleCleanupJob: ScheduledJob {
    typealias Settings = StaleCleanupSettings

    static let name = "stale-cleanup"
    static let purpose = "Marks crashed pipeline runs as failed and repairs the concurrent counters."
    static let discussion = StaleRunCleaner.help

    static func run(in context: JobContext<Self>) async throws {
        try await context.withStaleRunCleaner { try await $0.clean(at: context.now) }
    }
}
