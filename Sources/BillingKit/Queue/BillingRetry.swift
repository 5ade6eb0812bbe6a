import FoundationEssentials
package import JobRuntime
package import Logging
package import WarehouseKit

/// Works off the queue: reads each organization's subscription from Stripe as it is now, and brings the warehouse to it.
///
/// Invariants:
/// - an item says which organization to look at, never what to write; several items of one are one look-up;
/// - an item is completed only after the warehouse had the state that was read; stopped or killed anywhere, it comes back;
/// - one bad item does not keep the others from their turn.
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
        let token = UUID().uuidString.lowercased()
        do {
            let items = try await queue.claim(limit, token: token, lease: lease)
            report.add(items.count, to: "claimed")
            guard !items.isEmpty else { return report.line("nothing is due") }
            report.begin("syncs", total: items.count)
            try await finish(items, try await process(items, token: token), token: token)
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

    private func process(_ items: [QueuedSync], token: String) async throws -> [String: BillingProblem] {
        var synchronisation = OrganizationSynchronisation(self, items, claim: token)
        try await synchronisation.run()
        report.add(synchronisation.changed, to: "organizations_changed")
        return synchronisation.problems
    }

    private func finish(_ items: [QueuedSync], _ problems: [String: BillingProblem], token: String) async throws {
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

    private func preview(_ limit: Int) async throws {
        let items = try await queue.due(limit)
        report.table(
            header: ["organization", "type", "retries", "sync"],
            rows: items.map { [$0.slug, $0.type, String($0.retries), $0.id] })
        guard !items.isEmpty else { return report.line("nothing is due") }
        var synchronisation = OrganizationSynchronisation(self, items, claim: "")
        let changes = try await synchronisation.changes()
        report.table(
            header: ["organization", "field", "stripe", "warehouse"],
            rows: changes.flatMap { change in
                change.differences.map { [change.slug, $0.field.rawValue, $0.stripe, $0.warehouse] }
            })
        for (slug, problem) in synchronisation.problems.sorted(by: { $0.key < $1.key }) {
            report.warn(quoted(slug), problem.description)
        }
        for item in items { if let problem = item.problem { report.warn(quoted(item.slug), problem.description) } }
    }
}
