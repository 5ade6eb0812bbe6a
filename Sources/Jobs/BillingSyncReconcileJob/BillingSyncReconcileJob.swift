import ArgumentParser
import BillingKit
import JobRuntime
import Warehouse
import WarehouseKit

/// Compares all of Stripe with the warehouse and corrects the warehouse. Without a difference the job only reads.
@main
struct BillingSyncReconcileJob: ScheduledJob {
    static let name = "billing-sync-reconcile"
    static let purpose = "Compares all Stripe subscriptions with the warehouse and corrects the warehouse."
    static let isExclusive = true
    static let discussion = """
        The job reads all subscriptions of the Stripe account and compares them with organizations.org_subscriptions, today's \
        limits in org_usage_quotas and org_profiles.subscription_plan. It prints each mismatch as organization, field, Stripe, \
        warehouse, and writes Stripe's value. Each organization that changes gets one row in org_audit_logs. If nothing \
        differs, the job writes nothing.

        The job reports a subscription of no known organization as unmatched, and an organization whose subscription is gone \
        as missing_in_stripe. --cancel-missing marks these organizations as CANCELLED. A mismatch that cannot be applied is \
        queued for billing-sync-retry.

        It is safe to run the job again. If two executions overlap, the second one is skipped.

        EXAMPLES:
          GCP_PROJECT_ID=cloudact-testing-1 STRIPE_SECRET_KEY=rk_test_... BillingSyncReconcileJob --dry-run
          WAREHOUSE_URL=sqlite:demo.db STRIPE_SECRET_KEY=rk_test_... BillingSyncReconcileJob
        """

    struct Options: ParsableArguments, Sendable {
        @Flag(help: "Mark organizations whose subscription is gone from Stripe as CANCELLED.")
        var cancelMissing = false

        @Option(help: "If --cancel-missing would mark more organizations than this, mark none.")
        var cancelMissingLimit = 10
        @Flag(help: "Also run for another day than today.")
        var force = false

        func validate() throws {
            guard (1...1_000_000).contains(cancelMissingLimit) else {
                throw ValidationError("--cancel-missing-limit must be from 1 to 1000000.")
            }
        }
    }

    struct Settings: JobSettings {
        let warehouse: WarehouseSettings
        let stripe: StripeSettings
        let notification: NotificationSettings

        init(reading environment: inout EnvironmentReader) {
            warehouse = WarehouseSettings(reading: &environment, mostTables: 5)
            stripe = StripeSettings(reading: &environment, for: warehouse.environment)
            notification = NotificationSettings(reading: &environment)
        }
    }

    let options: Options
    let settings: Settings

    func run(_ run: Run) async throws {
        try run.requireForce(options.force, because: BillingReconciliation.objection(to: run))
        run.notifyAtEnd(settings.notification, ofChangesIn: ["synced"])
        let warehouse = try await run.openWarehouse(settings.warehouse).sql
        let stripe = StripeClient(
            settings.stripe, requestsPerSecond: BillingReconciliation.stripeRequestsPerSecond, of: run)
        let reconciliation = BillingReconciliation(
            stripe: stripe, warehouse: warehouse, today: run.now.date, report: run.report, logger: run.logger,
            isDryRun: run.isDryRun)
        try await reconciliation.run(cancelMissing: options.cancelMissing ? options.cancelMissingLimit : nil)
    }
}
