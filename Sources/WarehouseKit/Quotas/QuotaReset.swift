package import JobRuntime

/// Gives every active organization with a live subscription its row of a day in `org_usage_quotas`, with counters recounted
/// from the run log.
///
/// Invariants:
/// - a counter is the number of runs in the log, so firing late, twice or again loses no run;
/// - a row that is right already is not written;
/// - the number of statements does not depend on the number of organizations;
/// - a row is that of the day by organization and date, whatever its `usage_id`. Where there are several, all of them get the
///   same values, and the organization is reported: which of them another service reads is not for this job to decide.
package struct QuotaReset: Sendable {
    package static let dailyJob = "quota-reset-daily"
    package static let monthlyJob = "quota-reset-monthly"

    private let warehouse: MeteredWarehouse
    private let columns: QuotaColumns
    private let staleAfter: Duration
    private let report: RunReport
    private let isDryRun: Bool

    package init(
        warehouse: any Warehouse, columns: QuotaColumns = .standard, staleAfter: Duration = .seconds(3600),
        report: RunReport, isDryRun: Bool = false
    ) {
        self.warehouse = MeteredWarehouse(warehouse, report)
        self.columns = columns
        self.staleAfter = staleAfter
        self.report = report
        self.isDryRun = isDryRun
    }

    /// Brings the rows of the day to the run log and the subscriptions, and makes those that are missing.
    package func openDay(at now: Timestamp) async throws {
        let statements = statements(now)
        try await run(statements.openDay, statements)
    }

    /// Brings the monthly counter of the day's rows to the run log, and makes rows that are missing.
    package func recountMonth(at now: Timestamp) async throws {
        let statements = statements(now)
        try await run(statements.recountMonth, statements)
    }

    private func statements(_ now: Timestamp) -> QuotaResetStatements {
        QuotaResetStatements(
            day: QuotaDay(now.date), columns: columns, now: now, staleBefore: now.adding(.zero - staleAfter))
    }

    private func run(_ merge: MergeStatement, _ statements: QuotaResetStatements) async throws {
        report.declare(counts: "organizations_reset", "rows_created", "rows_changed", "bytes_billed")
        try await takeCensus(statements)
        try Task.checkCancellation()
        let outcome = try await isDryRun ? preview(merge) : warehouse.merge(merge)
        report.add(Int(outcome.inserted), to: "rows_created")
        report.add(Int(outcome.updated), to: "rows_changed")
        report.line(
            "\(statements.day.date): \(outcome.inserted) rows \(isDryRun ? "to create" : "created"), "
                + "\(outcome.updated) \(isDryRun ? "to change" : "changed")")
    }

    private func takeCensus(_ statements: QuotaResetStatements) async throws {
        for row in try await warehouse.query(statements.census).rows {
            let subscriptions = try row.int64("subscriptions")
            guard let slug = try row.optionalString("org_slug") else {
                report.add(Int(subscriptions), to: "organizations_reset")
                continue
            }
            if subscriptions > 1 {
                report.warn(quoted(slug), "has \(subscriptions) live subscriptions; the newest gave the limits")
            }
            let rows = try row.optionalInt64("quota_rows") ?? 0
            if rows > 1 {
                report.warn(quoted(slug), "has \(rows) rows for \(statements.day.date); all get the same values")
            }
        }
    }

    private func preview(_ merge: MergeStatement) async throws -> MergeResult {
        guard let row = try await warehouse.query(merge.preview).rows.first else {
            throw WarehouseError(.unexpectedResult, operation: merge.purpose, message: "no row came")
        }
        return MergeResult(inserted: try row.int64("missing"), updated: try row.int64("differing"))
    }
}
