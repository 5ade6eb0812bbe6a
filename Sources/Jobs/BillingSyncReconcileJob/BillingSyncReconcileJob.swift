import BillingKit
import JobRuntime

/// Compares all of Stripe with the warehouse and corrects the warehouse. With no difference it only reads.
@main
struct BillingSyncReconcileJob: ScheduledJob {
    typealias Options = BillingReconciliationOptions
    typealias Settings = BillingReconciliationSettings

    static let name = "billing-sync-reconcile"
    static let purpose = "Compares all Stripe subscriptions with the warehouse and corrects the warehouse."
    static let discussion = BillingReconciliation.help

    static func run(in context: JobContext<Self>) async throws { try await context.reconcileBilling() }
}
