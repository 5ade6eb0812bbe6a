package import JobRuntime
package import Logging

/// Ends runs that crashed without a word, and recounts the counters that such runs leave behind.
///
/// Invariants:
/// - after one pass over a quiet run log, no run in the lookback is stale, today's rows count exactly the runs in progress, and
///   those of the two days before count none;
/// - the failed runs of these days are recounted along with them, since marking a run changes that number too;
/// - what is right already is not written: a quiet pass only reads;
/// - stopped anywhere, the next pass ends in the same state.
package struct StaleRunCleaner: Sendable {
    private let warehouse: MeteredWarehouse
    private let staleAfter: StaleAge
    private let lookbackDays: Int
    private let report: RunReport
    private let logger: Logger
    private let isDryRun: Bool

    package init(
        warehouse: any Warehouse, staleAfter: StaleAge = StaleAge(minutes: 60), lookbackDays: Int = 7,
        report: RunReport, logger: Logger, isDryRun: Bool = false
    ) {
        self.warehouse = MeteredWarehouse(warehouse, report)
        self.staleAfter = staleAfter
        self.lookbackDays = lookbackDays
        self.report = report
        self.logger = logger
        self.isDryRun = isDryRun
    }

    package func clean(at now: Timestamp) async throws {
        report.declare(counts: "runs_marked_failed", "rows_changed", "bytes_billed")
        let statements = StaleRunStatements(
            day: QuotaDay(now.date), now: now, staleAfter: staleAfter, lookbackDays: lookbackDays)
        try await endStaleRuns(statements)
        try Task.checkCancellation()
        try await correctCounters(statements)
    }

    private func endStaleRuns(_ statements: StaleRunStatements) async throws {
        let stale = try await warehouse.query(statements.staleRuns).rows
        report.table(
            header: ["organization", "stale runs", "oldest start"],
            rows: try stale.map { row in
                [try row.string("org_slug"), String(try row.int64("runs")), try row.timestamp("oldest").description]
            })
        guard !isDryRun else {
            return report.add(Int(try stale.reduce(0) { try $0 + $1.int64("runs") }), to: "runs_marked_failed")
        }
        guard !stale.isEmpty else { return }
        try Task.checkCancellation()
        let marked = try await warehouse.query(statements.markAsFailed)
        report.add(Int(marked.affectedRows ?? 0), to: "runs_marked_failed")
    }

    private func correctCounters(_ statements: StaleRunStatements) async throws {
        let wrong = try await warehouse.query(statements.wrongCounters).rows
        for row in wrong {
            try note("concurrent_pipelines_running", "running", of: row)
            try note("pipelines_failed_today", "failed", of: row)
        }
        guard !isDryRun else { return report.add(wrong.count, to: "rows_changed") }
        guard !wrong.isEmpty else { return }
        try Task.checkCancellation()
        let corrected = try await warehouse.query(statements.correctCounters)
        report.add(Int(corrected.affectedRows ?? 0), to: "rows_changed")
    }

    private func note(_ counter: String, _ prefix: String, of row: Row) throws {
        let (old, new) = (try row.int64("\(prefix)_before"), try row.int64("\(prefix)_after"))
        guard old != new else { return }
        let (slug, date) = (try row.string("org_slug"), try row.date("usage_date"))
        logger.notice(
            "\(slug) \(date): \(counter) \(old) -> \(new)",
            metadata: [
                "org_slug": "\(slug)", "usage_date": "\(date)", "counter": "\(counter)",
                "old_value": .stringConvertible(Int(old)), "new_value": .stringConvertible(Int(new)),
            ])
    }
}
