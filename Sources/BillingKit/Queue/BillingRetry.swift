import FoundationEssentials
package import JobRuntime
package import Logging
package import Warehouse
import WarehouseKit

/// Works off the queue: reads each organization's subscription from Stripe as it is now, and brings the warehouse to it.
///
/// Invariants:
/// - an item says which organization to look at, never what to write; several items of one are one look-up;
/// - an item is completed only after the warehouse had the state that was read; stopped or killed anywhere, it comes back;
/// - one bad item does not keep the others from their turn: what the warehouse refuses is tried in halves, and what a killed
///   execution had claimed is tried one by one, after everything else;
/// - an item is given up for killing its executions only where it was the only one that the last of them had claimed.
package struct BillingRetry: Sendable {
    let stripe: StripeClient
    let warehouse: MeteredWarehouse
    let queue: SyncQueue
    let writer: BillingWriter
    let today: CivilDate
    let report: RunReport
    let logger: Logger
    let isDryRun: Bool
    let jitter: @Sendable () -> Double
    private static let organizationsAtOnce = 25

    /// - Parameter jitter: A random number from 0 to 1.
    package init(
        stripe: StripeClient, warehouse: any Warehouse, today: CivilDate, report: RunReport, logger: Logger,
        isDryRun: Bool = false, now: @escaping @Sendable () -> Timestamp = Timestamp.wallClock,
        jitter: @escaping @Sendable () -> Double = { .random(in: 0...1) }
    ) {
        self.stripe = stripe
        self.warehouse = MeteredWarehouse(warehouse, report)
        queue = SyncQueue(warehouse: self.warehouse, now: now)
        writer = BillingWriter(warehouse: self.warehouse, today: today, now: now)
        self.today = today
        self.report = report
        self.logger = logger
        self.isDryRun = isDryRun
        self.jitter = jitter
    }

    /// - Parameter lease: How long the items of a killed execution stay claimed.
    package func run(limit: Int, lease: Duration) async throws {
        report.declare(counts: "claimed", "completed", "postponed", "failed", "organizations_changed")
        guard !isDryRun else { return try await preview(limit) }
        let due = try await queue.countDue()
        guard due.pending + due.abandoned > 0 else { return report.line("nothing is due") }
        report.begin("syncs", total: min(limit, due.pending + due.abandoned))
        // However many new ones there always are, some of the others have their turn.
        let kept = limit > 1 ? min(due.abandoned, limit / 10 + 1) : 0
        var left = limit
        if due.pending > 0 { left -= try await work(.pending(limit - kept), lease) }
        for _ in 0..<min(left, due.abandoned) {
            guard try await work(.oneAbandoned, lease) > 0 else { break }
        }
    }

    /// - Returns: How many items were claimed, all of which are finished then.
    private func work(_ claim: SyncQueue.Claim, _ lease: Duration) async throws -> Int {
        let token = claim.newToken()
        do {
            let items = try await queue.claim(claim, token: token, lease: lease)
            report.add(items.count, to: "claimed")
            try await process(items, token)
            return items.count
        } catch {
            await release(token, after: error)
            throw error
        }
    }

    /// Runs to its end even where the run was stopped; without it the items would wait for the end of their lease.
    private func release(_ token: String, after error: any Error) async {
        // Without the table nothing was claimed.
        if (error as? WarehouseError)?.code == .notFound { return }
        let queue = queue
        let problem = await Task.detached { () async -> (any Error)? in
            do {
                try await queue.release(token: token)
                return nil
            } catch {
                return error
            }
        }.value
        guard let problem else { return }
        report.warn("claimed syncs", "not released; they come back when their lease expires: \(problem)")
    }

    /// A few organizations at a time, the one that has waited longest first, each finished before the next ones are looked
    /// at: a run that is stopped has done something. What has to be looked for everywhere comes last.
    private func process(_ items: [QueuedSync], _ token: String) async throws {
        try await finish(items.filter { $0.problem != nil }, [:], token)
        var rest = items.filter { $0.problem == nil }
        var elsewhere: [QueuedSync] = []
        while !rest.isEmpty {
            var slugs: Set<String> = []
            for item in rest where slugs.count < Self.organizationsAtOnce { slugs.insert(item.slug) }
            elsewhere += try await synchronise(rest.filter { slugs.contains($0.slug) }, .known, token)
            rest.removeAll { slugs.contains($0.slug) }
        }
        if !elsewhere.isEmpty { _ = try await synchronise(elsewhere, .everywhere, token) }
    }

    /// - Returns: What was not finished, since it has to be looked for elsewhere.
    private func synchronise(
        _ items: [QueuedSync], _ reach: OrganizationSynchronisation.Reach, _ token: String
    ) async throws -> [QueuedSync] {
        var synchronisation = OrganizationSynchronisation(self, items, reach, claim: token)
        defer { report.add(synchronisation.changed, to: "organizations_changed") }
        try await synchronisation.run()
        let elsewhere = synchronisation.elsewhere
        try await finish(items.filter { !elsewhere.contains($0.slug) }, synchronisation.problems, token)
        return items.filter { elsewhere.contains($0.slug) }
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
        let name = "\(quoted(item.slug)) (\(printable(item.type)), sync \(printable(item.id)))"
        let error = outcome.error ?? ""
        switch outcome.ending {
        case .completed: report.add(1, to: "completed")
        case .pending:
            report.add(1, to: "postponed")
            let next = outcome.nextRetry.map { " at \($0)" } ?? ""
            report.warn(name, "retry \(outcome.retries) of \(item.maxRetries)\(next): \(error)")
        case .failed:
            report.add(1, to: "failed")
            report.fail(name, "given up after \(outcome.retries) retries: \(error)")
        }
    }
}
