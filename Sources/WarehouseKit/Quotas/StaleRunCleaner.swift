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
        report.add(try await change(statements.markAsFailed, "stale runs") ?? 0, to: "runs_marked_failed")
    }

    private func correctCounters(_ statements: StaleRunStatements) async throws {
        let wrong = try await warehouse.query(statements.wrongCounters).rows
        guard !isDryRun else {
            try wrong.forEach(note)
            return report.add(wrong.count, to: "rows_changed")
        }
        guard !wrong.isEmpty else { return }
        try Task.checkCancellation()
        guard let corrected = try await change(statements.correctCounters, "counters") else { return }
        report.add(corrected, to: "rows_changed")
        try wrong.forEach(note)
    }

    /// How many rows were changed; `nil` if BigQuery changes none as yet, which keeps the pass from nothing else.
    private func change(_ statement: Statement, _ subject: String) async throws -> Int? {
        do {
            return Int(try await warehouse.query(statement).affectedRows ?? 0)
        } catch let error as WarehouseError where error.concernsStreamedRows {
            report.fail(
                subject, "were not changed, since some rows were streamed a short while ago; a later pass does it")
            return nil
        }
    }

    private func note(_ row: Row) throws {
        try note("concurrent_pipelines_running", "running", of: row)
        try note("max_concurrent_reached", "highest", of: row)
        try note("pipelines_failed_today", "failed", of: row)
    }

    /// A column that was added to the table later has NULL in its older rows.
    private func note(_ counter: String, _ prefix: String, of row: Row) throws {
        let (old, new) = (try row.optionalInt64("\(prefix)_before"), try row.optionalInt64("\(prefix)_after"))
        guard old != new else { return }
        let (slug, date) = (try row.string("org_slug"), try row.date("usage_date"))
        let (oldText, newText) = (old.map(String.init) ?? "NULL", new.map(String.init) ?? "NULL")
        logger.notice(
            "\(slug) \(date): \(counter) \(isDryRun ? "would change " : "")\(oldText) -> \(newText)",
            metadata: [
                "org_slug": "\(slug)", "usage_date": "\(date)", "counter": "\(counter)",
                "old_value": value(old), "new_value": value(new),
            ])
    }

    private func value(_ number: Int64?) -> Logger.MetadataValue {
        number.map { .stringConvertible(Int($0)) } ?? "NULL"
    }
}
