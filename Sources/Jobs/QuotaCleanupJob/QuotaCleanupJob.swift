import JobRuntime
import QuotaKit
import WarehouseKit

/// Deletes quota rows that are older than DAYS_TO_KEEP days.
@main
struct QuotaCleanupJob: ScheduledJob {
    typealias Options = QuotaRetentionOptions
    typealias Settings = QuotaRetentionSettings

    static let name = "quota-cleanup"
    static let purpose = "Deletes old rows of the quota counters."
    static let discussion = QuotaRetention.help

    static func run(in context: JobContext<Self>) async throws {
        try await context.withQuotaRetention { try await $0.deleteOldRows(at: context.now) }
    }
}
