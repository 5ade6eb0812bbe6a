import ArgumentParser
import BillingKit
import JobRuntime
import Warehouse
import WarehouseKit

/// Works off the queue of organizations whose billing state must be read from Stripe again.
@main
struct BillingSyncRetryJob: ScheduledJob {
    static let name = "billing-sync-retry"
    static let purpose = "Works off the queue of billing syncs: Stripe's state into the warehouse."
    static let isExclusive = false
    static let discussion = """
        The job reads Stripe's events since its last run and queues the organizations that they name. Then it claims the due \
        items of scheduler_jobs.billing_sync_queue, reads the current subscription of each of their \
        organizations from Stripe, and corrects the warehouse as billing-sync-reconcile does. If it may have missed events, it compares the whole account. It repeats a failed try after 1, \
        2, 4, 8 and 16 minutes. Then the item is failed: this one run fails, and the item stays until --requeue.
        It is safe to run the job again, also at the same time. The items of a killed execution return, one by one.

        EXAMPLES:
          GCP_PROJECT_ID=cloudact-prod STRIPE_SECRET_KEY=rk_live_... BillingSyncRetryJob --enqueue acme
        """

    struct Options: ParsableArguments, Sendable {
        @Option(help: "The most queued syncs to claim in one run.")
        var limit = 100
        @Flag(help: "Print the state of the queue, and end.")
        var stats = false
        @Option(help: .init("Put an organization into the queue, and end.", valueName: "SLUG"))
        var enqueue: String?
        @Option(help: .init("With --enqueue: the reason, for the audit.", valueName: "TEXT"))
        var why: String?
        @Option(help: .init("Put one failed sync, or all of them, back into the queue, and end.", valueName: "ID|all"))
        var requeue: String?
        @Flag(help: "Also work for another day than today.")
        var force = false
        func validate() throws {
            guard (1...1000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000.") }
            let choices = [stats, requeue != nil, enqueue != nil].count { $0 }
            guard choices < 2 else { throw ValidationError("Give only one of --stats, --requeue and --enqueue.") }
            let isReason = why.map { enqueue != nil && (1...200).contains($0.utf8.count) } ?? true
            guard isReason else { throw ValidationError("--why has 1 to 200 bytes, and needs --enqueue.") }
            let isID = requeue.map { (1...255).contains($0.utf8.count) } ?? true
            guard isID else { throw ValidationError("--requeue needs the id of a sync, or all.") }
        }
    }

    struct Settings: JobSettings {
        let warehouse: WarehouseSettings
        let stripe: StripeSettings
        let itemLease: Duration
        let notification: NotificationSettings

        init(reading environment: inout EnvironmentReader) {
            warehouse = WarehouseSettings(reading: &environment, mostTables: 5)
            stripe = StripeSettings(reading: &environment, for: warehouse.environment)
            let seconds = environment.integer(
                "ITEM_LEASE_SECONDS", default: 900, in: 10...86_400,
                help: "The items of a killed run return after so long. It must be more than the task timeout.")
            itemLease = .seconds(seconds)
            notification = NotificationSettings(reading: &environment)
        }
    }

    let options: Options
    let settings: Settings

    func run(_ run: Run) async throws {
        run.notifyAtEnd(settings.notification, ofChangesIn: ["organizations_changed"])
        let warehouse = try await run.openWarehouse(settings.warehouse).sql
        let upkeep = QueueUpkeep(warehouse: warehouse, report: run.report, isDryRun: run.isDryRun)
        if options.stats { return try await upkeep.printStatistics(of: run.now.date) }
        if let slug = options.enqueue { return try await upkeep.enqueue(slug, why: options.why) }
        if let choice = options.requeue { return try await upkeep.requeue(choice) }
        try run.requireForce(options.force, because: BillingReconciliation.objection(to: run))
        let stripe = StripeClient(settings.stripe, requestsPerSecond: BillingRetry.stripeRequestsPerSecond, of: run)
        let retry = BillingRetry(stripe: stripe, warehouse: warehouse, itemLease: settings.itemLease, of: run)
        try await retry.run(limit: options.limit, lease: settings.itemLease)
    }
}
