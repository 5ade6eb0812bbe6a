package import JobRuntime
import Warehouse
package import WarehouseKit

/// What `billing-sync-retry` reads from the environment.
package struct BillingRetrySettings: BillingUser {
    package let warehouse: WarehouseSettings
    package let stripe: StripeSettings
    package let notification: NotificationSettings
    /// How long the items of a killed execution stay claimed.
    package let lease: Duration
    package static let stripeRequestsPerSecond = BillingRetry.stripeRequestsPerSecond

    package static let environmentHelp =
        WarehouseSettings.environmentHelp + StripeSettings.environmentHelp + [
            (
                "ITEM_LEASE_SECONDS",
                "When the items of a killed run come back; more than the task timeout. Default: 900."
            )
        ] + NotificationSettings.environmentHelp

    package init(reading environment: inout EnvironmentReader) {
        warehouse = WarehouseSettings(reading: &environment)
        stripe = StripeSettings(reading: &environment)
        lease = .seconds(environment.integer("ITEM_LEASE_SECONDS", default: 900, in: 10...86_400))
        notification = NotificationSettings(reading: &environment)
    }
}

extension JobContext where Job.Settings == BillingRetrySettings, Job.Options == BillingRetryOptions {
    /// Does what the flags say.
    package func retryBilling() async throws {
        try await notifyingService(ofChanges: ["organizations_changed"]) {
            try await withWarehouse { warehouse in
                let upkeep = QueueUpkeep(warehouse: warehouse, report: report, isDryRun: isDryRun)
                if options.stats { return try await upkeep.printStatistics(of: now.date) }
                if let choice = options.requeue { return try await upkeep.requeue(choice) }
                try await BillingRetry(
                    stripe: stripe, warehouse: warehouse, today: now.date, report: report,
                    isDryRun: isDryRun
                ).run(limit: options.limit, lease: settings.lease)
            }
        }
    }
}
