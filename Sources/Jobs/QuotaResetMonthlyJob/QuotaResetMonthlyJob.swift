import JobRuntime
import QuotaKit
import WarehouseKit

/// Recounts the monthly quota counter on the first of a month. Running it again loses no count.
@main
struct QuotaResetMonthlyJob: ScheduledJob {
    typealias Options = QuotaResetMonthlyOptions
    typealias Settings = QuotaResetSettings

    static let name = QuotaReset.monthlyJob
    static let purpose = "Recounts the monthly quota counter of every active organization on the first of a month."
    static let discussion = QuotaReset.monthlyHelp

    static func run(in context: JobContext<Self>) async throws {
        try await context.withMonthlyReset { try await $0.recountMonth(at: context.now) }
    }
}
