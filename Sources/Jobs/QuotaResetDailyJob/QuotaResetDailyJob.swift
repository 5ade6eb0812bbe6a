import JobRuntime
import QuotaKit
import WarehouseKit

/// Opens the quota counters of the UTC day for every active organization. Running it again loses no count.
@main
struct QuotaResetDailyJob: ScheduledJob {
    typealias Settings = QuotaResetSettings

    static let name = QuotaReset.dailyJob
    static let purpose = "Opens the day's quota counters of every active organization."
    static let discussion = QuotaReset.dailyHelp

    static func run(in context: JobContext<Self>) async throws {
        try await context.withQuotaReset { try await $0.openDay(at: context.now) }
    }
}
