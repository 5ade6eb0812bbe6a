import BillingKit
import JobRuntime

/// Works off the queue of organizations whose billing state must be read from Stripe again.
@main
struct BillingSyncRetryJob: ScheduledJob {
    typealias Options = BillingRetryOptions
    typealias Settings = BillingRetrySettings

    static let name = "billing-sync-retry"
    static let purpose = "Works off the queue of billing syncs: Stripe's state into the warehouse."
    static let discussion = BillingRetry.help

    static func run(in context: JobContext<Self>) async throws { try await context.retryBilling() }
}
