package import JobRuntime
package import Warehouse
import WarehouseKit

/// Writes the changes of a run into `scheduler_jobs.schema_changes`, before they are made.
///
/// A row says that a run set out to make a change. So a run that is killed at any point leaves no change without a row. A change
/// that was not made after all is planned again by the next run, which writes a row of its own: the latest row of a column that a
/// table has is the one that brought it. A failure that the run sees is written into the row.
///
/// ```swift
/// let history = SchemaHistory(sql: warehouse.sql, job: run.job, task: run.task)
/// try await history.write(changes, catalog: digest, in: run.report)
/// ```
package struct SchemaHistory: Sendable {
    static let table = TableReference(DatasetID.schedulerJobs, "schema_changes")!

    /// One row. A dataset that is created with all of its tables is one row without a table.
    struct Change: Hashable, Sendable {
        var subject: String
        var dataset: DatasetID
        var table: String?
        var column: String?
        var change: String
    }

    let sql: any SQLWarehouse
    let job: String
    let task: CloudRunTask
    /// Marks the rows of this run.
    let token: String
    let now: @Sendable () -> Timestamp

    package init(
        sql: any SQLWarehouse, job: String, task: CloudRunTask,
        now: @escaping @Sendable () -> Timestamp = Timestamp.wallClock
    ) {
        self.sql = sql
        self.job = job
        self.task = task
        token = "\(job) \(task.leaseHolder) \(now().microseconds)"
        self.now = now
    }

    /// - Throws: `notFound` if the table does not exist yet.
    /// - Parameter rollout: The mark of the rollout that the changes are part of.
    func write(_ changes: [Change], catalog: String, rollout: String? = nil) async throws {
        for start in stride(from: 0, to: changes.count, by: Self.mostRows) {
            let part = changes[start..<min(start + Self.mostRows, changes.count)]
            _ = try await sql.query(insertion(Array(part), catalog: catalog, rollout: rollout))
        }
    }

    /// Writes into the rows why their changes failed.
    func writeFailures(_ failures: [(change: Change, reason: String)]) async throws {
        guard !failures.isEmpty else { return }
        for start in stride(from: 0, to: failures.count, by: Self.mostRows) {
            let part = failures[start..<min(start + Self.mostRows, failures.count)]
            _ = try await sql.query(failure(Array(part)))
        }
    }

    /// A request of BigQuery has at most 10 MB.
    private static let mostRows = 10_000

    func insertion(_ changes: [Change], catalog: String, rollout: String? = nil) -> Statement {
        let rows = changes.map { change in
            SQLValue.structure([
                SQLValue.Field("change_id", .string(id(of: change))),
                SQLValue.Field("subject", .string(change.subject)),
                SQLValue.Field("dataset", .string(change.dataset.name)),
                SQLValue.Field("table_name", .string(change.table ?? "")),
                SQLValue.Field("column_name", .string(change.column ?? "")),
                SQLValue.Field("change", .string(change.change)),
            ])
        }
        let names = ["change_id", "subject", "dataset", "table_name", "column_name", "change"]
        let type = SQLType.structure(names.map { SQLType.Field($0, .string) })
        return Statement(
            "write the changes into the history", Self.insertSQL,
            parameters: [
                "changes": .array(of: type, rows), "now": .timestamp(now()), "job": .string(job),
                "execution": task.execution.map { .string($0) } ?? .null(.string),
                "task_index": .int64(Int64(task.index)), "rollout": rollout.map { .string($0) } ?? .null(.string),
                "catalog": .string(catalog),
                "version": .string(serviceVersion), "day": .timestamp(now().adding(.seconds(-86_400))),
            ])
    }

    func failure(_ failures: [(change: Change, reason: String)]) -> Statement {
        let rows = failures.map { change, reason in
            SQLValue.structure([
                SQLValue.Field("change_id", .string(id(of: change))),
                SQLValue.Field("failure", .string(String(reason.prefix(500)))),
            ])
        }
        let type = SQLType.structure([SQLType.Field("change_id", .string), SQLType.Field("failure", .string)])
        return Statement(
            "write the failed changes into the history", Self.failureSQL,
            parameters: ["failures": .array(of: type, rows), "day": .timestamp(now().adding(.seconds(-604_800)))])
    }

    private func id(of change: Change) -> String {
        let parts = [token, change.dataset.name, change.table ?? "", change.column ?? "", change.change]
        return hexDigest(of: parts.joined(separator: "\n"), length: 32)
    }

    /// Sent twice, it writes the rows once.
    static let insertSQL = """
        INSERT INTO \(table.sql) (
          change_id, applied_at, job, execution, task_index, rollout, subject, dataset, table_name, column_name, change, catalog,
          version)
        SELECT
          c.change_id, @now, @job, @execution, @task_index, @rollout, c.subject, c.dataset, NULLIF(c.table_name, ''),
          NULLIF(c.column_name, ''), c.change, @catalog, @version
        FROM UNNEST(@changes) AS c
        WHERE c.change_id NOT IN (SELECT known.change_id FROM \(table.sql) AS known WHERE known.applied_at >= @day)
        """
    static let failureSQL = """
        UPDATE \(table.sql) AS t
        SET failure = f.failure
        FROM UNNEST(@failures) AS f
        WHERE t.change_id = f.change_id AND t.applied_at >= @day
        """
}

extension SchemaPlan {
    /// The rows of the history.
    func changes(for subject: String) -> [SchemaHistory.Change] {
        func change(_ table: String?, _ column: String?, _ text: String) -> SchemaHistory.Change {
            SchemaHistory.Change(subject: subject, dataset: dataset.id, table: table, column: column, change: text)
        }
        if createsDataset { return [change(nil, nil, "create dataset with \(spoken(newTables.count, "tables"))")] }
        return newTables.map { change($0.name, nil, "create table") }
            + additions.flatMap { addition in
                addition.diff.additions.map { change(addition.table.name, $0, "add column") }
            }
            + updates.flatMap { update in
                Set(update.closed.map(\.difference.kind.rawValue)).sorted().map {
                    change(update.table.name, nil, "set \($0)")
                }
            }
    }
}
