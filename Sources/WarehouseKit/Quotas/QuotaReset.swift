package import JobRuntime

/// Gives every active organization with a live subscription its row of a day in `org_usage_quotas`, with counters recounted
/// from the run log.
///
/// Invariants:
/// - a counter is the number of runs in the log, so firing late, twice or again loses no run;
/// - a row that is right already is not written;
/// - the number of statements does not depend on the number of organizations;
/// - a row is that of the day by organization and date, whatever its `usage_id`. Where there are several, all of them get the
///   same values, and the organization is reported: which of them another service reads is not for this job to decide;
/// - what is wrong with one organization keeps no other from its row: a subscription without a daily limit is a failure of its
///   own, and where rows of the day were streamed so recently that BigQuery changes none, the missing ones are made all the same.
package struct QuotaReset: Sendable {
    package static let dailyJob = "quota-reset-daily"
    package static let monthlyJob = "quota-reset-monthly"

    private let warehouse: MeteredWarehouse
    private let columns: QuotaColumns
    private let staleAfter: Duration
    private let fence: LeaseFence?
    private let clock: @Sendable () -> Timestamp
    private let report: RunReport
    private let isDryRun: Bool

    /// - Parameters:
    ///   - fence: That of the lease under which the job works; without it a MERGE that begins late may make rows twice.
    ///   - clock: For stamps, and for what is running now, which the day of the run does not tell.
    package init(
        warehouse: any Warehouse, columns: QuotaColumns = .standard, staleAfter: Duration = .seconds(3600),
        fence: LeaseFence? = nil, report: RunReport, isDryRun: Bool = false,
        clock: @escaping @Sendable () -> Timestamp = Timestamp.wallClock
    ) {
        self.warehouse = MeteredWarehouse(warehouse, report)
        self.columns = columns
        self.staleAfter = staleAfter
        self.fence = fence
        self.clock = clock
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
            day: QuotaDay(now.date), columns: columns, now: clock(), staleAfter: staleAfter, fence: fence)
    }

    private func run(_ merge: MergeStatement, _ statements: QuotaResetStatements) async throws {
        report.declare(counts: "organizations_reset", "rows_created", "rows_changed", "bytes_billed")
        let outcome = try await isDryRun ? preview(merge) : execute(merge, statements.day)
        report.add(Int(outcome.inserted), to: "rows_created")
        report.add(Int(outcome.updated), to: "rows_changed")
        report.line(
            "\(statements.day.date): \(outcome.inserted) rows \(isDryRun ? "to create" : "created"), "
                + "\(outcome.updated) \(isDryRun ? "to change" : "changed")")
        try Task.checkCancellation()
        // Afterwards, so that a row which is there twice is reported by the run that made it.
        try await takeCensus(statements)
    }

    private func execute(_ merge: MergeStatement, _ day: QuotaDay) async throws -> MergeResult {
        do {
            return try await warehouse.merge(merge)
        } catch let error as WarehouseError where error.concernsStreamedRows {
            let outcome = try await warehouse.merge(merge.insertingOnly)
            report.fail(
                "rows of \(day.date)",
                "were not changed, since some were streamed a short while ago; a later run mends them")
            return outcome
        }
    }

    private func takeCensus(_ statements: QuotaResetStatements) async throws {
        let day = statements.day.date
        for row in try await warehouse.query(statements.census).rows {
            guard let slug = try row.optionalString("org_slug") else {
                report.add(Int(try row.int64("organizations")), to: "organizations_reset")
                let unknown = try row.int64("unknown_runs")
                if unknown > 0 {
                    report.warn(
                        "runs of \(day)",
                        "\(unknown) have a status that this job does not know; they count as started and no more")
                }
                continue
            }
            if try row.int64("lacks_limit") > 0 {
                report.fail(quoted(slug), "its newest live subscription has no daily_limit; it was left out")
            }
            let subscriptions = try row.int64("subscriptions")
            if subscriptions > 1 {
                report.warn(quoted(slug), "has \(subscriptions) live subscriptions; the newest gave the limits")
            }
            let rows = try row.optionalInt64("quota_rows") ?? 0
            if rows > 1 { report.warn(quoted(slug), "has \(rows) rows for \(day); all get the same values") }
        }
    }

    private func preview(_ merge: MergeStatement) async throws -> MergeResult {
        guard let row = try await warehouse.query(merge.preview).rows.first else {
            throw WarehouseError(.unexpectedResult, operation: merge.purpose, message: "no row came")
        }
        return MergeResult(inserted: try row.int64("missing"), updated: try row.int64("differing"))
    }
}
