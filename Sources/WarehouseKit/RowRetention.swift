package import JobRuntime
package import Warehouse

/// Deletes the rows of a table that are older than a given day. Rows of that day and rows whose column is NULL stay.
///
/// A second run deletes nothing. A dry run counts the rows and deletes none. The count `rows_deleted` is the sum of all tables
/// of a run.
///
/// quota-cleanup uses it for the usage counters and for the service's own state. That state has no job of its own, because it
/// grows by a few hundred small rows a day, and quota-cleanup runs daily under a lease and may write in both datasets.
///
/// ```swift
/// let retention = RowRetention(of: .runHistory, warehouse: warehouse, report: report)
/// try await retention.deleteRows(before: run.now.date.adding(days: -400))
/// ```
///
/// For a partitioned table the condition names only the partition column and begins at midnight UTC. BigQuery's documentation says that such a DELETE
/// drops whole partitions without reading them (fact BQ-09). This was not measured on a clustered table.
/// https://cloud.google.com/bigquery/docs/using-dml-with-partitioned-tables#deleting_data_from_partitioned_tables
package struct RowRetention: Sendable {
    private let aging: AgingTable
    private let warehouse: MeteredWarehouse
    private let report: RunReport
    private let isDryRun: Bool

    package init(of table: AgingTable, warehouse: any SQLWarehouse, report: RunReport, isDryRun: Bool = false) {
        aging = table
        self.warehouse = MeteredWarehouse(warehouse, report)
        self.report = report
        self.isDryRun = isDryRun
    }

    /// - Parameter firstKept: The first day (UTC) whose rows are kept.
    package func deleteRows(before firstKept: CivilDate) async throws {
        report.declare(counts: "rows_deleted", "bytes_billed")
        let number = try await isDryRun ? count(before: firstKept) : delete(before: firstKept)
        report.add(Int(number), to: "rows_deleted")
        let rows = "\(spoken(Int(number), "rows")) from before \(firstKept)"
        report.line("\(aging.table): \(isDryRun ? "would delete \(rows)" : "\(rows) deleted")")
    }

    private func count(before firstKept: CivilDate) async throws -> Int64 {
        let statement = aging.countStatement(before: firstKept)
        guard let row = try await warehouse.query(statement).rows.first else {
            throw WarehouseError(.unexpectedResult, operation: statement.purpose, message: "the answer has no row")
        }
        return try row.int64("old_rows")
    }

    private func delete(before firstKept: CivilDate) async throws -> Int64 {
        let statement = aging.deleteStatement(before: firstKept)
        guard let number = try await warehouse.query(statement).affectedRows else {
            throw WarehouseError(
                .unexpectedResult, operation: statement.purpose, message: "the answer does not say how many rows")
        }
        return number
    }
}

/// A table whose old rows may be deleted, the column with the age of a row, and which of the old rows may go.
package struct AgingTable: Sendable {
    package enum Column: Sendable {
        case date(String)
        case timestamp(String)
    }

    package let table: TableReference
    package let column: Column
    /// A condition on the rows that may be deleted; `nil` if all may. A table with one has no partitions.
    private let condition: String?

    /// The usage counters, one row for each organization and day.
    package static let usageQuotas = AgingTable(
        TableReference(DatasetID.organizations, "org_usage_quotas")!, by: .date("usage_date"))
    /// The run history, one row for each finished run of a job.
    package static let runHistory = AgingTable(RunHistory.table, by: .timestamp("started_at"))

    /// The items of the billing queue that are done. Every other item is still to be done: a failed one waits for
    /// `--requeue`.
    package static let billingQueue = AgingTable(
        TableReference(DatasetID.schedulerJobs, "billing_sync_queue")!, by: .timestamp("updated_at"),
        where: "status = 'completed'")
    /// Free leases that nobody has taken for long, such as those of jobs that are gone. ``JobLease`` proves that it is safe to
    /// delete such a row.
    package static let freeLeases = AgingTable(
        LeaseStatements.table, by: .timestamp("updated_at"), where: "holder IS NULL")

    /// All tables that a job cleans up, for the tests of their statements.
    package static let all = [usageQuotas, runHistory, billingQueue, freeLeases]

    /// - Parameter column: The table's partition column if it has one, so that whole partitions are deleted.
    package init(_ table: TableReference, by column: Column, where condition: String? = nil) {
        self.table = table
        self.column = column
        self.condition = condition
        precondition(ColumnName.isPlain(name), "not the name of a column")
    }

    package var isPartitioned: Bool { condition == nil }

    private var name: String {
        switch column {
        case .date(let name), .timestamp(let name): name
        }
    }

    package func countStatement(before firstKept: CivilDate) -> Statement {
        statement("count", "SELECT COUNT(*) AS old_rows FROM", before: firstKept)
    }

    package func deleteStatement(before firstKept: CivilDate) -> Statement {
        statement("delete", "DELETE FROM", before: firstKept)
    }

    private func statement(_ verb: String, _ sql: String, before firstKept: CivilDate) -> Statement {
        let bound: SQLValue =
            switch column {
            case .date: .date(firstKept)
            case .timestamp: .timestamp(Timestamp(startOf: firstKept))
            }
        return Statement(
            "\(verb) the old rows of \(table)",
            "\(sql) \(table.sql) WHERE `\(name)` < @first_kept" + (condition.map { " AND \($0)" } ?? ""),
            parameters: ["first_kept": bound])
    }
}
