import JobRuntime
import SchemaKit
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
        fixture.stripe.change { $0.pageSize = 3 }
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
            case 5: fixture.clock.pass(.seconds(60 * Int.random(in: 1...40, using: &random)))
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
    }

    /// Nothing changes or fails any more: the queue is worked off, and the whole is compared once or, where every organization
    /// was queued after the last change, not even that.
    mutating func settle(byQueueAlone: Bool) async throws {
        if byQueueAlone { for slug in Self.slugs { try await enqueue(slug) } }
        try await requeueWhatTheHistoryFailed()
        for _ in 0..<8 {
            fixture.clock.pass(.seconds(86_400))
            let report = try await fixture.retry()
            #expect(report.failures.isEmpty && report["postponed"] == 0, "nothing was wrong: \(report.failures)")
            if try await fixture.queue().values.allSatisfy({ $0.status == "completed" }) { break }
        }
        if !byQueueAlone { try await fixture.reconcile() }
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
        #expect(queue.values.allSatisfy { $0.status == "completed" && !$0.isClaimed }, "an item is left: \(queue)")
        #expect(Set(ledger.entries.keys).subtracting(queue.keys).isEmpty, "an item is lost")
        var ids: Set<String> = []
        for slug in Self.slugs {
            let state = try await fixture.state(slug)
            try await expectEquality(slug)
            // What is written without an audit, or audited twice, breaks this chain.
            var known = Self.initial(slug)
            for audit in try await fixture.audits(slug) {
                #expect(ids.insert(audit.id).inserted, "audited twice: \(audit.id)")
                #expect(!audit.changes.isEmpty)
                for change in audit.changes {
                    #expect(known[change.field] ?? "" == change.from, "\(slug) \(change.field.rawValue) in \(audit.id)")
                    known[change.field] = change.to
                }
            }
            for field in BillingField.allCases where !(field.isOfQuota && slug == "initech") {
                #expect(known[field] ?? "" == state[field], "\(slug) \(field.rawValue) is not what was audited")
            }
        }
    }

    private func expectEquality(_ slug: String) async throws {
        let state = try await fixture.state(slug)
        let wanted = try wanted(slug)
        for field in BillingField.allCases where !(field.isOfQuota && slug == "initech") {
            #expect(state[field] == wanted[field], "\(slug) \(field.rawValue)")
        }
    }

    private static func initial(_ slug: String) -> [BillingField: String] {
        var state: [BillingField: String] = [:]
        if slug != "globex" {
            state = [
                .planName: "OLD", .status: "TRIAL", .dailyLimit: "1", .monthlyLimit: "1", .concurrentLimit: "1",
            ]
        }
        if slug == "initech" { state[.customer] = "cus_initech" } else { state[.quotaDailyLimit] = "1" }
        return state
    }

    private func wanted(_ slug: String) throws -> [BillingField: String] {
        let account = fixture.stripe.now
        let own = Self.subscriptions(of: slug, account).map { account.subscriptions[$0] }
        let rank = ["active": 0, "trialing": 1, "past_due": 2]
        let best = try #require(
            own.min { ((rank[$0.status] ?? 3), -$0.created, $0.id) < ((rank[$1.status] ?? 3), -$1.created, $1.id) })
        let metadata = try #require(account.products[best.product])
        let statuses = [
            "active": "ACTIVE", "trialing": "TRIAL", "past_due": "SUSPENDED", "unpaid": "SUSPENDED",
            "canceled": "CANCELLED",
        ]
        let daily = try #require(metadata["pipelinesPerDay"].flatMap { Int($0) })
        let plan = metadata["plan_id"]?.uppercased()
        return [
            .planName: plan ?? "", .profilePlan: plan ?? "", .status: statuses[best.status] ?? "",
            .dailyLimit: "\(daily)",
            .monthlyLimit: "\(30 * daily)", .concurrentLimit: metadata["concurrentPipelines"] ?? "2",
            .seatLimit: metadata["teamMembers"] ?? "", .providersLimit: metadata["providers"] ?? "", .trialEndDate: "",
            .subscriptionEndDate: best.cancelsAtPeriodEnd
                ? Timestamp(microseconds: best.periodEnd * 1_000_000).date.description : "",
            .customer: best.customer, .subscription: best.id, .currentPeriodEnd: "\(best.periodEnd)000000",
            .cancelAtPeriodEnd: best.cancelsAtPeriodEnd ? "1" : "0", .quotaDailyLimit: "\(daily)",
            .quotaMonthlyLimit: "\(30 * daily)", .quotaConcurrentLimit: metadata["concurrentPipelines"] ?? "2",
            .quotaSeatLimit: metadata["teamMembers"] ?? "", .quotaProvidersLimit: metadata["providers"] ?? "",
        ]
    }
}
