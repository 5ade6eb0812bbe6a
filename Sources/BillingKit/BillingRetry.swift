import FoundationEssentials
package import JobRuntime
package import Warehouse
package import WarehouseKit

/// Works off the queue: reads each organization's subscription from Stripe as it is now, and writes it into the warehouse.
///
/// Invariants:
/// - the events of Stripe are read first, and name the organizations to read (see ``EventFeed``);
/// - an item says which organization to read, never what to write; several items of one organization are one look-up;
/// - an item is completed only after the warehouse had the state that was read; if a run is stopped or killed anywhere, the item
///   comes back;
/// - what all items share (an outage of Stripe, a refused key, a refused warehouse) ends the run and costs none of them a retry;
/// - an organization that loses its subscription to another one is looked at in the same run;
/// - one bad item does not keep the others from their turn: a batch that the warehouse refuses is tried in halves, and the items
///   of a killed execution are tried one by one, after everything else;
/// - an item is given up for killing its executions only if it was the only item that the last of them had claimed.
///
/// ```swift
/// let retry = BillingRetry(stripe: stripe, warehouse: warehouse, itemLease: .seconds(900), of: run)
/// try await retry.run(limit: 100, lease: .seconds(900))
/// ```
package struct BillingRetry: Sendable {
    /// The job's share of the requests to Stripe; see ``StripeClient``.
    package static let stripeRequestsPerSecond = 8.0

    private static let organizationsAtOnce = 25

    let stripe: StripeClient
    let warehouse: MeteredWarehouse
    let writer: BillingWriter
    let today: CivilDate
    let report: RunReport
    private let queue: SyncQueue
    private let feed: EventFeed
    private let reconciliation: BillingReconciliation
    private let lease: JobLease
    private let isDryRun: Bool
    private let jitter: @Sendable () -> Double

    /// - Parameters:
    ///   - reconciliation: Does the items of the whole account.
    ///   - lease: That of `billing-sync-reconcile`, so that two reconciliations of the whole account never overlap.
    ///   - jitter: A random number from 0 to 1.
    package init(
        stripe: StripeClient, warehouse: any SQLWarehouse, today: CivilDate, report: RunReport,
        reconciliation: BillingReconciliation, lease: JobLease, isDryRun: Bool = false,
        now: @escaping @Sendable () -> Timestamp = Timestamp.wallClock,
        jitter: @escaping @Sendable () -> Double = { Machine.current.jitter() }
    ) {
        self.stripe = stripe
        self.warehouse = MeteredWarehouse(warehouse, report)
        queue = SyncQueue(warehouse: self.warehouse, now: now)
        writer = BillingWriter(warehouse: self.warehouse, today: today, now: now)
        feed = EventFeed(
            stripe: stripe, cursor: EventCursor(warehouse: self.warehouse, now: now), today: today, report: report,
            isDryRun: isDryRun, now: now)
        self.reconciliation = reconciliation
        self.lease = lease
        self.today = today
        self.report = report
        self.isDryRun = isDryRun
        self.jitter = jitter
    }

    /// The work of a run.
    package init(stripe: StripeClient, warehouse: any SQLWarehouse, itemLease: Duration, of run: Run) {
        let reconciliation = BillingReconciliation(
            stripe: stripe, warehouse: warehouse, today: run.now.date, report: run.report, logger: run.logger)
        let lease = JobLease(
            warehouse: warehouse, job: "billing-sync-reconcile", holder: run.task.leaseHolder, validity: itemLease,
            report: run.report)
        self.init(
            stripe: stripe, warehouse: warehouse, today: run.now.date, report: run.report,
            reconciliation: reconciliation, lease: lease, isDryRun: run.isDryRun)
    }

    /// - Parameters:
    ///   - limit: The most items to claim.
    ///   - lease: How long the items of a killed execution stay claimed.
    package func run(limit: Int, lease: Duration) async throws {
        report.declare(
            counts: "events", "named_by_events", "claimed", "completed", "postponed", "failed", "organizations_changed")
        let events: (due: DueSyncs?, state: EventCursor.State?)
        do { events = try await feed.queueChanges() } catch { throw Self.explained(error) }
        var state = events.state
        defer { if let state { report(state) } }
        guard !isDryRun else { return try await preview(limit) }
        let due: DueSyncs
        if let counted = events.due { due = counted } else { due = try await queue.countDue() }
        guard due.pending + due.abandoned > 0 else { return report.line("nothing is due") }
        report.begin("syncs", total: min(limit, due.pending + due.abandoned))
        // A part of the limit is kept for abandoned items, however many new ones there always are.
        let kept = limit > 1 ? min(due.abandoned, limit / 10 + 1) : 0
        var left = limit
        if due.pending > 0 { left -= try await work(.pending(limit - kept), lease, &state) }
        for _ in 0..<min(left, due.abandoned) {
            guard try await work(.oneAbandoned, lease, &state) > 0 else { break }
        }
    }

    private func report(_ state: EventCursor.State) {
        report.attach("complete_to", state.gap == nil ? state.readTo.map { .string($0.description) } ?? .null : .null)
        report.attach("gap", state.gap.map { .string($0.since?.description ?? "since the beginning") } ?? .null)
        report.line("Stripe's events: \(state.words)")
    }

    /// - Parameter state: Loses its gap if a reconciliation of the whole account closes it.
    /// - Returns: How many items were claimed; all of them are finished then.
    private func work(
        _ claim: SyncQueue.Claim, _ lease: Duration, _ state: inout EventCursor.State?
    ) async throws -> Int {
        let token = claim.newToken()
        do {
            let items = try await queue.claim(claim, token: token, lease: lease)
            report.add(items.count, to: "claimed")
            try await process(items.filter { !$0.isOfWholeAccount || $0.problem != nil }, token, lease)
            if try await reconcile(items.filter { $0.isOfWholeAccount && $0.problem == nil }, token) {
                state?.gap = nil
            }
            return items.count
        } catch {
            await release(token, after: error)
            throw Self.explained(error)
        }
    }

    private static func explained(_ error: any Error) -> any Error {
        guard let error = error as? StripeError, error.mayBeOutage else { return error }
        return error.withAdvice("Stripe is down or cannot be reached; the items wait, and lose no retry")
    }

    /// Compares the whole account, if one of the items asks for it.
    /// - Returns: `true` if that was done without an error.
    private func reconcile(_ items: [QueuedSync], _ token: String) async throws -> Bool {
        guard !items.isEmpty else { return false }
        do {
            try await lease.acquire()
        } catch let skipped as RunSkipped {
            let time = queue.now().adding(.seconds(60))
            try await queue.finish(items.map { .waiting($0, skipped.reason, until: time) }, token: token)
            report.add(items.count, to: "postponed")
            report.line("the reconciliation of the whole account waits: \(skipped.reason)")
            return false
        }
        let isComplete: Bool
        do {
            isComplete = try await reconciliation.run()
        } catch {
            await lease.release(within: Task.isCancelled ? StopBudget.limit(of: .lease) : nil)
            throw error
        }
        await lease.release()
        let problem = BillingProblem("the reconciliation of the whole account had errors")
        try await finish(items, isComplete ? [:] : [QueuedSync.wholeAccount: problem], token)
        return isComplete
    }

    /// Runs to its end even where the run was stopped; otherwise the items would wait for the end of their lease.
    private func release(_ token: String, after error: any Error) async {
        // Without the table nothing was claimed.
        if (error as? WarehouseError)?.code == .notFound { return }
        let queue = queue
        do {
            // The job holds no lease of its own, so a stopped run has the lease's part of the budget for its items.
            let limit = Task.isCancelled ? StopBudget.limit(of: .lease) : nil
            try await shielded(within: limit) { try await queue.release(token: token) }
        } catch {
            report.warn("claimed syncs", "not released; they come back when their lease expires: \(error)")
        }
    }

    /// A few organizations at a time, in the order of their waiting, and each finished before the next ones are read: so a run
    /// that is stopped has done something. Organizations that need the listing of the whole account come last.
    private func process(_ items: [QueuedSync], _ token: String, _ lease: Duration) async throws {
        try await finish(items.filter { $0.problem != nil }, [:], token)
        var rest = items.filter { $0.problem == nil }
        var known = Set(rest.map(\.slug))
        var elsewhere: [QueuedSync] = []
        while !rest.isEmpty {
            var slugs: Set<String> = []
            for item in rest where slugs.count < Self.organizationsAtOnce { slugs.insert(item.slug) }
            let part = rest.filter { slugs.contains($0.slug) }
            elsewhere += try await synchronize(part, .known, &known, token, lease)
            rest.removeAll { slugs.contains($0.slug) }
        }
        while !elsewhere.isEmpty { elsewhere = try await synchronize(elsewhere, .everywhere, &known, token, lease) }
    }

    /// - Parameter known: The organizations of all items of the run.
    /// - Returns: The items that are not finished, since their organizations need the whole listing.
    private func synchronize(
        _ items: [QueuedSync], _ reach: OrganizationSynchronization.Reach, _ known: inout Set<String>, _ token: String,
        _ lease: Duration
    ) async throws -> [QueuedSync] {
        var synchronization = OrganizationSynchronization(self, items, reach, known: known, claim: token)
        defer { report.add(synchronization.changed, to: "organizations_changed") }
        try await synchronization.run()
        // Before the items are finished: if this run dies, they come back and lead to the other owners again.
        let others = synchronization.formerOwners.union(synchronization.newOwners).subtracting(known).sorted()
        let more = try await queue.addClaimed(others, token: token, lease: lease)
        known.formUnion(others)
        report.add(more.count, to: "claimed")
        let elsewhere = synchronization.elsewhere
        try await finish(items.filter { !elsewhere.contains($0.slug) }, synchronization.problems, token)
        return items.filter { elsewhere.contains($0.slug) } + more
    }

    private func finish(_ items: [QueuedSync], _ problems: [String: BillingProblem], _ token: String) async throws {
        let now = queue.now()
        let outcomes = items.map { item in
            (item.problem ?? problems[item.slug]).map {
                SyncOutcome.failedTry(item, $0, at: now, jitter: jitter())
            } ?? .completed(item)
        }
        try await queue.finish(outcomes, token: token)
        for (item, outcome) in zip(items, outcomes) {
            note(item, outcome)
            report.advance(item.slug)
        }
    }

    private func note(_ item: QueuedSync, _ outcome: SyncOutcome) {
        let error = outcome.error ?? ""
        switch outcome.ending {
        case .completed: report.add(1, to: "completed")
        case .pending:
            report.add(1, to: "postponed")
            let next = outcome.nextRetry.map { " at \($0)" } ?? ""
            report.warn(item.name, "retry \(outcome.retries) of \(item.maxRetries)\(next): \(error)")
        case .failed:
            report.add(1, to: "failed")
            report.fail(item.name, "given up after \(outcome.retries) retries: \(error)")
        }
    }
}

extension BillingRetry {
    /// Prints what a run would do, without claiming anything.
    private func preview(_ limit: Int) async throws {
        let items = try await queue.due(limit)
        report.table(
            header: ["organization", "type", "retries", "sync"],
            rows: items.map { [$0.slug, $0.type, String($0.retries), $0.id] })
        guard !items.isEmpty else { return report.line("nothing is due") }
        for item in items { if let problem = item.problem { report.warn(quoted(item.slug), problem.description) } }
        let elsewhere = try await preview(items.filter { $0.problem == nil }, .known)
        _ = try await preview(items.filter { elsewhere.contains($0.slug) }, .everywhere)
    }

    private func preview(
        _ items: [QueuedSync], _ reach: OrganizationSynchronization.Reach
    ) async throws -> Set<String> {
        var synchronization = OrganizationSynchronization(self, items, reach, claim: "")
        let changes = try await synchronization.changes()
        report.table(header: BillingChange.tableHeader, rows: changes.flatMap(\.tableRows))
        for change in changes {
            if let note = change.reassignment?.note { report.warn(quoted(change.slug), note) }
        }
        if !synchronization.newOwners.isEmpty {
            let owners = synchronization.newOwners.sorted().map { quoted($0) }.joined(separator: ", ")
            report.line("would first write the new owners of moved subscriptions: \(owners)")
        }
        for (slug, problem) in synchronization.problems.sorted(by: { $0.key < $1.key }) {
            report.warn(quoted(slug), problem.description)
        }
        return synchronization.elsewhere
    }
}
