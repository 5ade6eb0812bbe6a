package import JobRuntime
package import Logging
package import Warehouse
import WarehouseKit

/// Compares every subscription of the Stripe account with the warehouse and brings the warehouse to Stripe.
///
/// Invariants:
/// - Stripe is read before the warehouse, and only a listing that was read to its end says what is missing;
/// - an organization that agrees is not written; the number of statements does not depend on the number of organizations;
/// - one whose state cannot be said is reported, and the others go on;
/// - what was found but could not be applied is queued for `billing-sync-retry`.
///
/// An organization that the queue's job is at work on gets the time of this reading written even where nothing differs: that
/// job may have read earlier and write later, and must then find a newer version. It claims before it reads, and the warehouse
/// is read here after Stripe was, so whoever could write something older is seen.
package struct BillingReconciliation: Sendable {
    let stripe: StripeClient
    let warehouse: MeteredWarehouse
    let writer: BillingWriter
    let queue: SyncQueue
    let today: CivilDate
    let report: RunReport
    let logger: Logger
    let isDryRun: Bool
    let now: @Sendable () -> Timestamp

    package init(
        stripe: StripeClient, warehouse: any Warehouse, today: CivilDate, report: RunReport, logger: Logger,
        isDryRun: Bool = false, now: @escaping @Sendable () -> Timestamp = Timestamp.wallClock
    ) {
        self.stripe = stripe
        self.warehouse = MeteredWarehouse(warehouse, report)
        writer = BillingWriter(warehouse: self.warehouse, today: today, now: now)
        queue = SyncQueue(warehouse: self.warehouse, now: now)
        self.today = today
        self.report = report
        self.logger = logger
        self.isDryRun = isDryRun
        self.now = now
    }

    /// - Parameter cancelMissing: Mark organizations as cancelled whose subscription is gone; at most so many.
    package func run(cancelMissing limit: Int? = nil) async throws {
        report.declare(
            counts: "subscriptions", "checked", "mismatches", "synced", "unmatched", "missing_in_stripe", "errors",
            "queued")
        let listing = try await StripeListing.read(stripe, report)
        let state = try BillingState(try await warehouse.query(BillingStateStatements(today: today).all).rows)
        for slug in state.unreadable { fail(slug, "its row in org_subscriptions has control characters") }
        let assigned = SubscriptionAssignment(listing.subscriptions, state)
        report.add(assigned.unmatched.count, to: "unmatched")
        for (id, reason) in assigned.unmatched { report.warn("unmatched subscription \(printable(id))", reason) }
        let comparison = compare(assigned.found, state, listing.plans)
        show(comparison.changes)
        try await apply(comparison.changes, comparison.overtaken)
        let cancellations = try await missing(listing, state, assigned.found, limit)
        show(cancellations)
        try await apply(cancellations, [])
    }

    private func compare(
        _ found: [String: OrganizationSubscriptions], _ state: BillingState, _ plans: PlanCatalog
    ) -> (changes: [BillingChange], overtaken: [String]) {
        var changes: [BillingChange] = []
        var overtaken: [String] = []
        for (slug, subscriptions) in found.sorted(by: { $0.key < $1.key }) {
            guard let stored = state.organizations[slug] else { continue }
            report.add(1, to: "checked")
            if stored.rows > 1 {
                report.warn(
                    quoted(slug), "has \(stored.rows) rows in org_subscriptions; \(stored.row) is the one that counts")
            }
            do throws(BillingProblem) {
                let chosen = try subscriptions.chosen()
                let values = try BillingValues(chosen.value, plans)
                let change = try BillingChange(
                    values, stored, read: chosen.time.joined(plans.time), reason: "reconciliation",
                    requestID: chosen.requestID)
                guard let change else {
                    overtaken.append(slug)
                    continue
                }
                if !change.differences.isEmpty || stored.isInProgress { changes.append(change) }
            } catch {
                fail(slug, error.description)
            }
        }
        return (changes, overtaken)
    }

    func fail(_ slug: String, _ reason: String) {
        report.add(1, to: "errors")
        report.fail(quoted(slug), reason)
    }
}
