import EmbeddedWarehouse
import Foundation
import JobRuntime
import SchemaKit
import Synchronization
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

/// A random history: Stripe changes, syncs are queued, jobs run, die anywhere and overlap.
struct BillingHistory {
    static let slugs = ["acme", "globex", "initech"]

    let fixture: BillingFixture
    var random: SplitMix64
    var made = 0
    var queued = 0
    /// How often an organization was held to Stripe while the history went on.
    private(set) var checks = 0
    /// How often "complete to T" was held to Stripe.
    private(set) var completenessChecks = 0
    let ledger = Ledger()

    init(_ fixture: BillingFixture, seed: UInt64) async throws {
        self.fixture = fixture
        random = SplitMix64(seed: seed)
        // One organization begins without a row in org_subscriptions, one without a quota of today.
        try await fixture.add("acme")
        try await fixture.add("globex", subscription: false)
        try await fixture.add("initech", quota: false)
        _ = try await fixture.run(
            "UPDATE `organizations.org_subscriptions` SET stripe_customer_id = 'cus_initech' WHERE org_slug = 'initech'"
        )
        // Two more rows that are live, both older than the one that counts.
        for number in 1...2 {
            _ = try await fixture.run(
                """
                INSERT INTO `organizations.org_subscriptions` (
                  subscription_id, org_slug, plan_name, status, daily_limit, monthly_limit, concurrent_limit, created_at)
                VALUES (@id, 'acme', 'OLDER', 'ACTIVE', 1, 1, 1, @created)
                """,
                [
                    "id": .string("older_\(number)"),
                    "created": .timestamp(BillingFixture.longAgo.adding(.seconds(-number))),
                ])
        }
        fixture.stripe.change {
            $0.pageSize = 3
            $0.products["prod_support"] = [:]
        }
        // Some begin before the first reading of events.
        if seed.isMultiple(of: 4) {
            _ = try await fixture.run("DELETE FROM `scheduler_jobs.billing_event_cursor` WHERE TRUE")
        }
        fixture.recordEvents(erratic: true)
        for slug in Self.slugs { changeStripe(slug, mayAdd: true) }
    }

    /// - Parameter minimum: It goes on until so many checks have been made.
    mutating func run(steps: Int, atLeast minimum: Int) async throws {
        for step in 0... {
            guard step < steps || checks < minimum else { return }
            try #require(step < 50 * steps, "nothing is ever completed")
            let slug = Self.slugs.randomElement(using: &random)!
            switch Int.random(in: 0..<10, using: &random) {
            case 0...2: changeStripe(slug)
            case 3...4: try await enqueue(slug)
            case 5:
                // Now and then for longer than Stripe keeps events.
                let isLong = Int.random(in: 0..<8, using: &random) == 0
                fixture.clock.pass(
                    .seconds(isLong ? 31 * 86_400 : 60 * Int.random(in: 1...40, using: &random)))
            case 6: await runJob(isReconcile: false)
            case 7: await runJob(isReconcile: true)
            default: try await overlap()
            }
            try await checkCompletedItems()
        }
    }

    /// Where nothing has changed since an item was queued that is completed, or since a reconciliation, the warehouse equals Stripe: nobody may have
    /// written something older after it.
    private mutating func checkCompletedItems() async throws {
        let queue = try await fixture.queue()
        let current = fixture.stripe.now.revisions
        let done = ledger.entries.filter {
            queue[$0.key]?.status == "completed" && current[$0.value.slug] == $0.value.revision
        }
        let reconciled = ledger.reconciled.filter { current[$0.key] == $0.value }.keys
        for slug in Set(done.values.map(\.slug)).union(reconciled) {
            checks += 1
            try await expectEquality(slug)
        }
        try await checkCompleteness(queue)
    }

    /// Where the cursor says "complete to T", and the last change of an organization is not later, the warehouse equals Stripe, or
    /// an item stands in the queue.
    private mutating func checkCompleteness(_ queue: [String: QueueRow]) async throws {
        let state = try await EventCursor(warehouse: fixture.metered, now: fixture.clock.now).read()
        guard state.gap == nil, let readTo = state.readTo else { return }
        let open = try await openItems()
        guard !open.contains(QueuedSync.wholeAccount) else { return }
        let changedAt = fixture.stripe.now.changedAt
        for slug in Self.slugs where !open.contains(slug) && changedAt[slug] ?? 0 <= readTo.microseconds {
            completenessChecks += 1
            try await expectEquality(slug, "complete to \(readTo)")
        }
    }

    /// The organizations with an item that is not completed.
    private func openItems() async throws -> Set<String> {
        let rows = try await fixture.run(
            "SELECT DISTINCT org_slug FROM `scheduler_jobs.billing_sync_queue` WHERE status <> 'completed'")
        return Set(try rows.map { try $0.string("org_slug") })
    }

    /// The steps that are enough once nothing changes or fails any more.
    enum Repair: CaseIterable {
        /// The queue is worked off, after every organization was queued.
        case queue
        /// The queue is worked off, and the whole is compared once.
        case reconciliation
        /// The queue is worked off; the events have queued what is needed.
        case events
    }

    /// Nothing changes or fails any more.
    mutating func settle(by repair: Repair) async throws {
        if repair == .queue { for slug in Self.slugs { try await enqueue(slug) } }
        try await requeueWhatTheHistoryFailed()
        for _ in 0..<8 {
            fixture.clock.pass(.seconds(86_400))
            let report = try await fixture.retry()
            // An organization that Stripe has nothing of keeps its items, until they are given up.
            let faults = (report.failures + report.warnings).filter { finding in
                ["given up", "retry"].contains { finding.reason.hasPrefix($0) }
                    && !withoutAny.contains { finding.subject.hasPrefix(quoted($0)) }
            }
            #expect(faults.isEmpty, "nothing was wrong: \(faults)")
            if try await unfinished().isEmpty { break }
        }
        if repair == .reconciliation { try await fixture.reconcile() }
    }

    /// The organizations that Stripe has nothing of.
    private var withoutAny: [String] { Self.slugs.filter { Self.subscriptions(of: $0, fixture.stripe.now).isEmpty } }

    /// The organizations of the items that wait or are claimed.
    private func unfinished() async throws -> Set<String> {
        let rows = try await fixture.run(
            """
            SELECT DISTINCT org_slug FROM `scheduler_jobs.billing_sync_queue`
            WHERE status NOT IN ('completed', 'failed') OR lease_token IS NOT NULL
            """)
        return Set(try rows.map { try $0.string("org_slug") })
    }

    /// An item may be given up only where all of its tries failed, or it killed its executions.
    private func requeueWhatTheHistoryFailed() async throws {
        let failed = try await fixture.queue().filter { $0.value.status == "failed" }
        for (id, row) in failed { #expect(row.retries >= 5, "\(id) was given up: \(row)") }
        guard !failed.isEmpty else { return }
        try await QueueUpkeep(warehouse: fixture.warehouse, report: ReportFixture().report, now: fixture.clock.now)
            .requeue("all")
    }

    func verify() async throws {
        let queue = try await fixture.queue()
        #expect(try await unfinished().isSubset(of: withoutAny), "an item is left: \(queue)")
        #expect(!queue.values.contains { $0.isClaimed }, "an item is claimed: \(queue)")
        let failed = queue.filter { $0.value.status == "failed" }.keys
        #expect(failed.allSatisfy { withoutAny.contains(ledger.entries[$0]?.slug ?? withoutAny.first ?? "") })
        #expect(Set(ledger.entries.keys).subtracting(queue.keys).isEmpty, "an item is lost")
        let live = try await fixture.run(
            """
            SELECT org_slug, stripe_subscription_id FROM `organizations.org_subscriptions`
            WHERE status IN ('ACTIVE', 'TRIAL') AND stripe_subscription_id IS NOT NULL
            """
        ).map { try $0.string("stripe_subscription_id") }
        #expect(Set(live).count == live.count, "two live rows with one subscription: \(live)")
        var ids: Set<String> = []
        for slug in Self.slugs {
            let state = try await fixture.state(slug)
            try await expectEquality(slug)
            // A change that is written without an audit, or audited twice, breaks this chain.
            var known = Self.initial(slug)
            for audit in try await fixture.audits(slug) {
                #expect(ids.insert(audit.id).inserted, "audited twice: \(audit.id)")
                #expect(!audit.changes.isEmpty)
                for change in audit.changes {
                    #expect(known[change.field] ?? "" == change.from, "\(slug) \(change.field) in \(audit.id)")
                    known[change.field] = change.to
                }
            }
            for field in BillingChange.fields where !(field.hasPrefix("quota.") && slug == "initech") {
                #expect(known[field] ?? "" == state[field], "\(slug) \(field) is not what was audited")
            }
        }
    }

    private func expectEquality(_ slug: String, _ reason: String = "") async throws {
        let state = try await fixture.state(slug)
        guard let wanted = try wanted(slug, state) else {
            // No attempt and no add-on ever gave it anything.
            let id = state["stripe_subscription_id"] ?? ""
            let product = fixture.stripe.now.subscriptions.first { $0.id == id }
            #expect(id.isEmpty || product != nil && product?.product != "prod_support", "\(slug) has \(id)")
            return
        }
        for field in BillingChange.fields where !(field.hasPrefix("quota.") && slug == "initech") {
            #expect(state[field] == wanted[field], "\(slug) \(field) \(reason)")
        }
    }

    private static func initial(_ slug: String) -> [String: String] {
        var state: [String: String] = [:]
        if slug != "globex" {
            state = [
                "plan_name": "OLD", "status": "TRIAL", "daily_limit": "1", "monthly_limit": "1",
                "concurrent_limit": "1",
            ]
        }
        if slug == "initech" { state["stripe_customer_id"] = "cus_initech" } else { state["quota.daily_limit"] = "1" }
        state["other_live_rows"] = slug == "acme" ? "2" : "0"
        return state
    }

    /// The rules of docs/operations.md in another form: `nil` where Stripe has nothing that may be written, so that the row stays
    /// as it is.
    private func wanted(_ slug: String, _ stored: [String: String]) throws -> [String: String]? {
        let account = fixture.stripe.now
        let own = Self.subscriptions(of: slug, account).map { account.subscriptions[$0] }
        let plans = own.filter { $0.product != "prod_support" && !$0.status.hasPrefix("incomplete") }
        let order = [["active"], ["trialing"], ["past_due"], ["unpaid", "paused"], ["canceled"]]
        let best = order.lazy.compactMap { statuses in
            plans.filter { statuses.contains($0.status) }.max { ($0.created, $1.id) < ($1.created, $0.id) }
        }.first
        guard let best else {
            guard let id = stored["stripe_subscription_id"], !id.isEmpty, stored["status"] != "CANCELLED",
                account.subscriptions.contains(where: { $0.id == id && $0.metadata["org_slug"] ?? "initech" != slug })
            else { return nil }
            return stored.merging(["status": "CANCELLED", "stripe_subscription_id": ""]) { $1 }
        }
        let metadata = try #require(account.products[best.product])
        let statuses = [
            "active": "ACTIVE", "trialing": "TRIAL", "past_due": "SUSPENDED", "unpaid": "SUSPENDED",
            "paused": "SUSPENDED", "canceled": "CANCELLED",
        ]
        let daily = try #require(metadata["pipelinesPerDay"].flatMap { Int($0) })
        let plan = metadata["plan_id"]?.uppercased()
        let ends = best.cancelsAtPeriodEnd || best.cancelAt != nil
        let end = Timestamp(microseconds: best.periodEnd * 1_000_000)
        return [
            "plan_name": plan ?? "", "profile.subscription_plan": plan ?? "", "status": statuses[best.status] ?? "",
            "daily_limit": "\(daily)",
            "monthly_limit": "\(30 * daily)", "concurrent_limit": metadata["concurrentPipelines"] ?? "2",
            "seat_limit": metadata["teamMembers"] ?? "", "providers_limit": metadata["providers"] ?? "",
            "trial_end_date": "", "subscription_end_date": ends ? end.date.description : "",
            "stripe_customer_id": best.customer, "stripe_subscription_id": best.id,
            "current_period_end": end.description.prefix { $0 != "." } + "Z",
            "cancel_at_period_end": ends ? "true" : "false", "other_live_rows": "0", "quota.daily_limit": "\(daily)",
            "quota.monthly_limit": "\(30 * daily)", "quota.concurrent_limit": metadata["concurrentPipelines"] ?? "2",
            "quota.seat_limit": metadata["teamMembers"] ?? "", "quota.providers_limit": metadata["providers"] ?? "",
        ]
    }
}
