package import JobRuntime
package import Warehouse
import WarehouseKit

/// What an operator asks of the queue: how it stands, and to try again what was given up.
package struct QueueUpkeep: Sendable {
    private let queue: SyncQueue
    private let report: RunReport
    private let isDryRun: Bool

    package init(
        warehouse: any Warehouse, report: RunReport, isDryRun: Bool = false,
        now: @escaping @Sendable () -> Timestamp = Timestamp.wallClock
    ) {
        queue = SyncQueue(warehouse: MeteredWarehouse(warehouse, report), now: now)
        self.report = report
        self.isDryRun = isDryRun
    }

    /// Prints how many items there are in each state, and the oldest that waits.
    package func printStatistics(of today: CivilDate) async throws {
        let statistics = try await queue.statistics(of: today)
        let counts = [
            ("pending", statistics.pending), ("processing", statistics.processing), ("failed", statistics.failed),
            ("completed_today", statistics.completedToday),
        ]
        for (name, count) in counts {
            report.declare(counts: name)
            report.add(count, to: name)
        }
        let oldest = statistics.oldestPending?.description ?? "-"
        report.table(
            header: ["queue", ""],
            rows: counts.map { [$0.0.split(separator: "_").joined(separator: " "), String($0.1)] } + [
                ["oldest pending", oldest]
            ])
        report.attach("oldest_pending", statistics.oldestPending.map { .string($0.description) } ?? .null)
    }

    /// - Parameter choice: The id of an item, or `all`.
    package func requeue(_ choice: String) async throws {
        report.declare(counts: "requeued")
        let count = try await queue.requeue(choice == "all" ? nil : choice, isDryRun: isDryRun)
        report.add(count, to: "requeued")
        guard count == 0 else { return report.line("\(count) \(isDryRun ? "would be tried" : "are tried") again") }
        if choice == "all" { return report.line("nothing has failed") }
        report.fail(quoted(choice), "no failed sync has this id")
    }
}
