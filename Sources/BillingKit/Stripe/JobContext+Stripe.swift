package import JobRuntime
import Warehouse
package import WarehouseKit

/// The settings of a job that brings Stripe's state into the warehouse.
package protocol BillingUser: WarehouseUser, NotificationUser {
    var stripe: StripeSettings { get }
    /// The job's share of the requests to Stripe; see ``StripeClient``.
    static var stripeRequestsPerSecond: Double { get }
}

extension JobContext where Job.Settings: BillingUser {
    /// A client with the account's key.
    var stripe: StripeClient {
        StripeClient(
            baseURL: settings.stripe.baseURL, key: settings.stripe.key,
            requestsPerSecond: Job.Settings.stripeRequestsPerSecond, transport: transport(), logger: logger)
    }
}
