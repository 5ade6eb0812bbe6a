import JobRuntime
import SchemaKit
import TestSupport
import Warehouse
import WarehouseKit

@testable import BillingKit

extension BillingHistory {
    mutating func changeStripe(_ slug: String, mayAdd: Bool = false) {
        made += 1
        let number = made
        var random = random
        fixture.stripe.change { Self.change(&$0, slug, number, mayAdd: mayAdd, &random) }
        self.random = random
    }

    private static func change(
        _ account: inout FakeStripe.Account, _ slug: String, _ number: Int, mayAdd: Bool, _ random: inout SplitMix64
    ) {
        let statuses = ["active", "trialing", "past_due", "unpaid", "canceled"]
        let own = subscriptions(of: slug, account)
        guard let index = own.randomElement(using: &random), !mayAdd, Int.random(in: 0..<6, using: &random) > 0 else {
            // initech has no metadata anywhere: only what is stored tells whose its subscriptions are.
            let isStored = slug == "initech"
            let customer = isStored || Bool.random(using: &random) ? "cus_\(slug)" : "cus_\(slug)_too"
            let subscription = FakeStripe.Subscription(
                id: "sub_\(number)", customer: customer, status: statuses.randomElement(using: &random)!,
                product: Bool.random(using: &random) ? "prod_starter" : "prod_scale",
                metadata: isStored ? [:] : ["org_slug": slug], created: 1_700_000_000 + Int64(number))
            account.revisions[slug, default: 0] += 1
            account.subscriptions.append(subscription)
            return account.subscriptions.sort { $0.created > $1.created }
        }
        // A product is of all of them.
        let what = Int.random(in: 0..<5, using: &random)
        for slug in what == 4 ? slugs : [slug] { account.revisions[slug, default: 0] += 1 }
        switch what {
        case 0: account.subscriptions[index].status = statuses.randomElement(using: &random)!
        case 1: account.subscriptions[index].product = Bool.random(using: &random) ? "prod_starter" : "prod_scale"
        case 2: account.subscriptions[index].cancelsAtPeriodEnd.toggle()
        case 3: account.subscriptions[index].periodEnd = 1_800_000_000 + Int64(number) * 86_400
        default: account.products["prod_scale"]?["teamMembers"] = String(Int.random(in: 5...9, using: &random))
        }
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
            let isDone = try await lease.withLease { try await fixture.reconcile(on: warehouse, report: report) }
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
