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

/// Whatever happens, in the end the warehouse equals Stripe, each change is audited exactly once, and no queued sync is lost.
@Suite struct BillingPropertyTests {
    /// BILLING_HISTORIES sets how many, for a long run by hand.
    private static let histories = ProcessInfo.processInfo.environment["BILLING_HISTORIES"].flatMap { Int($0) } ?? 1000
    private static let batch = 25

    /// Several histories make one case, since each case has a cost of its own.
    @Test(arguments: 0..<(histories + batch - 1) / batch)
    func everyHistoryEndsWellOnSQLite(_ batch: Int) async throws {
        for seed in batch * Self.batch..<min((batch + 1) * Self.batch, Self.histories) {
            // Every twentieth is a long one.
            let steps = seed.isMultiple(of: 20) ? 40 : 8
            try await live(through: UInt64(seed), on: try EmbeddedWarehouse(path: ":memory:"), steps: steps)
        }
    }

    @Test(arguments: [101, 102, 103])
    func everyHistoryEndsWellOnTheEmulator(_ seed: Int) async throws {
        try await live(
            through: UInt64(seed), on: try await Backend.emulator.warehouse("billing-history-\(seed)"), steps: 12)
    }

    private func live(through seed: UInt64, on warehouse: any Warehouse, steps: Int) async throws {
        var fixture = try await BillingFixture(warehouse)
        fixture.transport = FakeStripe.Transport(stripe: fixture.stripe)
        var history = try await BillingHistory(fixture, seed: seed)

        try await history.run(steps: steps, atLeast: steps / 8)
        try await history.settle(byQueueAlone: seed % 2 == 0)

        try await history.verify()
    }
}

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
            // An organization that Stripe has nothing of keeps its items, until they are given up.
            let faults = (report.failures + report.warnings).filter { finding in
                ["given up", "retry"].contains { finding.reason.hasPrefix($0) }
                    && !withoutAny.contains { finding.subject.hasPrefix(quoted($0)) }
            }
            #expect(faults.isEmpty, "nothing was wrong: \(faults)")
            if try await unfinished().isEmpty { break }
        }
        if !byQueueAlone { try await fixture.reconcile() }
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

    private func expectEquality(_ slug: String) async throws {
        let state = try await fixture.state(slug)
        guard let wanted = try wanted(slug, state) else {
            // No attempt and no add-on ever gave it anything.
            let id = state["stripe_subscription_id"] ?? ""
            let product = fixture.stripe.now.subscriptions.first { $0.id == id }
            #expect(id.isEmpty || product != nil && product?.product != "prod_support", "\(slug) has \(id)")
            return
        }
        for field in BillingChange.fields where !(field.hasPrefix("quota.") && slug == "initech") {
            #expect(state[field] == wanted[field], "\(slug) \(field)")
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

extension BillingHistory {
    mutating func changeStripe(_ slug: String, mayAdd: Bool = false) {
        made += 1
        let number = made
        var random = random
        fixture.stripe.change { Self.change(&$0, slug, number, mayAdd: mayAdd, &random) }
        self.random = random
    }

    private static let statuses = [
        "active", "active", "trialing", "past_due", "unpaid", "paused", "canceled", "incomplete", "incomplete_expired",
    ]

    private static func change(
        _ account: inout FakeStripe.Account, _ slug: String, _ number: Int, mayAdd: Bool, _ random: inout SplitMix64
    ) {
        let own = subscriptions(of: slug, account)
        guard let index = own.randomElement(using: &random), !mayAdd, Int.random(in: 0..<6, using: &random) > 0 else {
            return add(&account, slug, number, isFirst: mayAdd, &random)
        }
        let what = Int.random(in: 0..<7, using: &random)
        // An organization with an add-on always has a subscription that is or was a plan.
        let real = own.filter {
            account.subscriptions[$0].product != "prod_support"
                && !account.subscriptions[$0].status.hasPrefix("incomplete")
        }
        let hasSupport = own.contains { account.subscriptions[$0].product == "prod_support" }
        // A product is of all of them.
        for slug in what == 4 ? slugs : [slug] { account.revisions[slug, default: 0] += 1 }
        switch what {
        case 0: account.subscriptions[index].status = status(after: account.subscriptions[index].status, &random)
        case 1 where account.subscriptions[index].product != "prod_support":
            account.subscriptions[index].product = Bool.random(using: &random) ? "prod_starter" : "prod_scale"
        case 2: account.subscriptions[index].cancelsAtPeriodEnd.toggle()
        case 3:
            // The portal ends it by cancel_at; a later period takes that back.
            account.subscriptions[index].periodEnd = 1_800_000_000 + Int64(number) * 86_400
            account.subscriptions[index].cancelAt =
                Bool.random(using: &random) ? account.subscriptions[index].periodEnd : nil
        case 4: account.products["prod_scale"]?["teamMembers"] = String(Int.random(in: 5...9, using: &random))
        case 5 where slug != "initech" && (real.contains { $0 != index } || slug == "acme" && !hasSupport):
            // It moves to the other organization that is named by metadata.
            let other = slug == "acme" ? "globex" : "acme"
            account.subscriptions[index].metadata = ["org_slug": other]
            account.revisions[other, default: 0] += 1
        case 6 where slug != "initech" && !real.isEmpty:
            add(&account, slug, number, product: "prod_support", isFirst: false, &random)
        default: break
        }
    }

    /// An attempt becomes a subscription or expires, and a subscription never becomes an attempt.
    private static func status(after status: String, _ random: inout SplitMix64) -> String {
        if status == "incomplete_expired" { return status }
        let isAttempt = status == "incomplete"
        return statuses.filter {
            isAttempt ? ["active", "incomplete_expired"].contains($0) : !$0.hasPrefix("incomplete")
        }
        .randomElement(using: &random)!
    }

    private static func add(
        _ account: inout FakeStripe.Account, _ slug: String, _ number: Int, product: String? = nil, isFirst: Bool,
        _ random: inout SplitMix64
    ) {
        // initech has no metadata anywhere: only what is stored tells whose its subscriptions are.
        let isStored = slug == "initech"
        let customer = isStored || Bool.random(using: &random) ? "cus_\(slug)" : "cus_\(slug)_too"
        let status = statuses.filter { !isFirst || !$0.hasPrefix("incomplete") }.randomElement(using: &random)!
        let subscription = FakeStripe.Subscription(
            id: "sub_\(number)", customer: customer, status: status,
            product: product ?? (Bool.random(using: &random) ? "prod_starter" : "prod_scale"),
            metadata: isStored ? [:] : ["org_slug": slug], created: 1_700_000_000 + Int64(number))
        account.revisions[slug, default: 0] += 1
        account.subscriptions.append(subscription)
        account.subscriptions.sort { $0.created > $1.created }
    }

    static func subscriptions(of slug: String, _ account: FakeStripe.Account) -> [Int] {
        account.subscriptions.indices.filter {
            account.subscriptions[$0].metadata["org_slug"] ?? "initech" == slug
        }
    }

    mutating func enqueue(_ slug: String) async throws {
        queued += 1
        ledger.note("sync_\(queued)", slug, fixture)
        try await fixture.enqueue(
            slug, QueuedSync.types.randomElement(using: &random)!, id: "sync_\(queued)")
    }

    /// An item that is queued in the middle of something, after its change.
    private mutating func nextItem(_ slug: String) -> String {
        queued += 1
        return "sync_\(queued)"
    }

    /// One execution, which may die, lose a reply, or meet a Stripe that changes while it is read.
    mutating func runJob(isReconcile: Bool) async {
        restless()
        await Self.execute(isReconcile, fixture, FaultyWarehouse(fixture.warehouse, fault()), ledger)
        calm()
    }

    /// One execution within another one, before one of its statements; often after it has read what Stripe then changes.
    mutating func overlap() async throws {
        restless()
        let slug = Self.slugs.randomElement(using: &random)!
        try await enqueue(slug)
        let swings = Bool.random(using: &random)
        if swings { Self.toggle(slug, fixture) }
        let (fixture, ledger) = (fixture, ledger)
        let (outer, inner) = (Bool.random(using: &random), Bool.random(using: &random))
        let (at, fault, innerFault) = (Int.random(in: 0..<6, using: &random), fault(), fault())
        let next = inner ? nil : nextItem(slug)
        let warehouse = FaultyWarehouse(
            fixture.warehouse, fault,
            beforeEach: { index in
                guard index == at else { return }
                if swings { Self.toggle(slug, fixture) }
                if let next {
                    ledger.note(next, slug, fixture)
                    try await fixture.enqueue(slug, id: next)
                }
                // Also long after the claims of the outer one have expired.
                if fault != nil { fixture.clock.pass(.seconds(1000)) }
                await Self.execute(inner, fixture, FaultyWarehouse(fixture.warehouse, innerFault), ledger)
            })
        await Self.execute(outer, fixture, warehouse, ledger)
        calm()
    }

    /// There and, in the middle of an execution, back: what was read then is what the warehouse must not become.
    private static func toggle(_ slug: String, _ fixture: BillingFixture) {
        fixture.stripe.change { account in
            for index in subscriptions(of: slug, account) {
                account.subscriptions[index].cancelsAtPeriodEnd.toggle()
            }
            account.revisions[slug, default: 0] += 1
        }
    }

    /// Executions that die throw; the next one goes on.
    private static func execute(
        _ isReconcile: Bool, _ fixture: BillingFixture, _ warehouse: FaultyWarehouse, _ ledger: Ledger
    ) async {
        do {
            guard isReconcile else { return _ = try await fixture.retry(on: warehouse) }
            let before = fixture.stripe.now.revisions
            let report = ReportFixture()
            // Longer than any execution lives; two of them never overlap in a process either.
            let lease = JobLease(
                warehouse: warehouse, job: "billing-sync-reconcile", holder: "\(fixture.clock.now())",
                validity: .seconds(7200), report: report.report, now: fixture.clock.now,
                sleep: { fixture.clock.pass($0) })
            let isDone = try await lease.holding { try await fixture.reconcile(on: warehouse, report: report) }
            if isDone, report["queued"] == 0, report.failures.isEmpty { ledger.note(reconciled: before) }
        } catch { return }
    }

    private mutating func fault() -> FaultyWarehouse.Fault? {
        let index = Int.random(in: 0..<6, using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: return .killedBefore(index)
        case 1: return .killedDuring(index)
        case 2: return .replyLost(index)
        default: return nil
        }
    }

    /// Stripe changes before some of the requests, and fails some of them, for a moment or for good.
    private mutating func restless() {
        let seed = random.next()
        let start = made + 1
        made += 100
        guard Bool.random(using: &random) else { return }
        fixture.stripe.change { account in
            account.onRequest = { account, request in
                var random = SplitMix64(seed: seed &+ UInt64(request.index))
                switch Int.random(in: 0..<16, using: &random) {
                case 0...3: break
                case 4: return .json("{}", status: 429)
                case 5: return .json("{}", status: 500)
                case 6: return .json("{}", status: 400)
                default: return nil
                }
                let slug = Self.slugs.randomElement(using: &random)!
                Self.change(&account, slug, start + request.index % 100, mayAdd: false, &random)
                return nil
            }
        }
    }

    private func calm() { fixture.stripe.change { $0.onRequest = nil } }
}

/// What was queued, and at which revision of its organization in Stripe.
final class Ledger: Sendable {
    private let state = Mutex([String: (slug: String, revision: Int)]())
    private let seen = Mutex([String: Int]())

    /// The revisions that a whole reconciliation began with.
    var reconciled: [String: Int] { seen.withLock { $0 } }
    func note(reconciled revisions: [String: Int]) { seen.withLock { $0 = revisions } }

    var entries: [String: (slug: String, revision: Int)] { state.withLock { $0 } }

    func note(_ id: String, _ slug: String, _ fixture: BillingFixture) {
        let revision = fixture.stripe.now.revisions[slug] ?? 0
        state.withLock { $0[id] = (slug, revision) }
    }
}
