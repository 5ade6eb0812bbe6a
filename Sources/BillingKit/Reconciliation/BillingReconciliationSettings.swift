package import JobRuntime
import Warehouse
package import WarehouseKit

/// What `billing-sync-reconcile` reads from the environment.
package struct BillingReconciliationSettings: BillingUser, LeaseUser {
    package let warehouse: WarehouseSettings
    package let stripe: StripeSettings
    package let lease: LeaseSettings
    package let notification: NotificationSettings
    package static let stripeRequestsPerSecond = BillingReconciliation.stripeRequestsPerSecond

    package static let environmentHelp =
        WarehouseSettings.environmentHelp + StripeSettings.environmentHelp + LeaseSettings.environmentHelp
        + NotificationSettings.environmentHelp

    package init(reading environment: inout EnvironmentReader) {
        warehouse = WarehouseSettings(reading: &environment)
        stripe = StripeSettings(reading: &environment)
        lease = LeaseSettings(reading: &environment)
        notification = NotificationSettings(reading: &environment)
    }
}

extension JobContext
where Job.Settings == BillingReconciliationSettings, Job.Options == BillingReconciliationOptions {
    /// Compares and applies, under the job's lease.
    package func reconcileBilling() async throws {
        try await notifyingService(ofChanges: ["synced"]) {
            try await withLeasedWarehouse { warehouse in
                try await BillingReconciliation(
                    stripe: stripe, warehouse: warehouse, today: now.date, report: report, logger: logger,
                    isDryRun: isDryRun
                ).run(cancelMissing: options.cancelMissing ? options.cancelMissingLimit : nil)
            }
        }
    }
}
