import EmbeddedWarehouse
import JobRuntime
import SchemaKit
import Synchronization
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

/// What may happen in a history: changes in Stripe, and executions that die, overlap or lose replies.
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
        case 5
        where slug != "initech" && account.subscriptions[index].product != "prod_support"
            && (real.contains { $0 != index } || slug == "acme" && !hasSupport):
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
        let (at, fault, innerFault) = (Int.random(in: 0..<12, using: &random), fault(), fault())
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
        let index = Int.random(in: 0..<12, using: &random)
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
