import EmbeddedWarehouse
import JobRuntime
package import Warehouse

/// The rows of a few tables at one moment, as a value.
package struct ModelContents: Hashable, Sendable {
    /// A row keeps its number for as long as it exists.
    package var tables: [[Int64: [SQLValue]]]
}

/// What a statement that reads certain contents would change and answer.
struct ModelEffect: Hashable, Sendable {
    struct Change: Hashable, Sendable {
        var table: Int
        var row: Int64
        var before: [SQLValue]
        /// `nil` if the row is deleted.
        var after: [SQLValue]?
    }

    /// A table that a transaction updates, as the transaction saw it.
    struct Guarded: Hashable, Sendable {
        var table: Int
        var rows: [Int64: [SQLValue]]
    }

    var changes: [Change] = []
    var guarded: [Guarded] = []
    var inserted: [[[SQLValue]]]
    var rows: [Row]
    var affectedRows: Int64?

    var writes: Bool { !changes.isEmpty || inserted.contains { !$0.isEmpty } }

    /// Whether one of the rows to change was changed by another statement since, or a table that the transaction updates. BigQuery
    /// runs the statement again then.
    func conflicts(with contents: ModelContents) -> Bool {
        changes.contains { contents.tables[$0.table][$0.row] != $0.before }
            || guarded.contains { contents.tables[$0.table] != $0.rows }
    }

    /// The contents after the commit. Inserted rows never conflict.
    func committed(to contents: ModelContents) -> ModelContents {
        var contents = contents
        for change in changes { contents.tables[change.table][change.row] = change.after }
        for (table, rows) in inserted.enumerated() where !rows.isEmpty {
            var number = contents.tables[table].keys.max() ?? 0
            for row in rows {
                number += 1
                contents.tables[table][number] = row
            }
        }
        return contents
    }
}

/// Runs statements on contents: on an SQLite database in memory, which is filled with the contents first.
final class ModelStatements {
    private let tables: [(reference: TableReference, columns: [FieldSchema])]
    private let warehouse: EmbeddedWarehouse
    private var present: ModelContents

    init(_ tables: [(reference: TableReference, table: Table)]) async throws {
        warehouse = try EmbeddedWarehouse(path: ":memory:")
        self.tables = tables.map { ($0.reference, $0.table.schema.fields) }
        present = ModelContents(tables: tables.map { _ in [:] })
        for (reference, table) in tables {
            _ = try await warehouse.createDataset(Dataset(id: reference.dataset, location: "US"))
            _ = try await warehouse.createTable(reference, table)
        }
    }

    var empty: ModelContents { ModelContents(tables: tables.map { _ in [:] }) }

    func effect(of statement: Statement, on contents: ModelContents) async throws -> ModelEffect {
        try await fill(with: contents)
        let result = try await warehouse.query(statement)
        var effect = ModelEffect(
            inserted: tables.map { _ in [] }, rows: result.rows, affectedRows: result.affectedRows)
        guard !statement.sql.hasPrefix("SELECT"), result.affectedRows != 0 else { return effect }
        for (index, table) in tables.enumerated() where statement.sql.contains(table.reference.sql) {
            let rows = try await read(table)
            let before = contents.tables[index]
            for (number, row) in before.sorted(by: { $0.key < $1.key }) where rows[number] != row {
                effect.changes.append(.init(table: index, row: number, before: row, after: rows[number]))
            }
            for (number, row) in rows.sorted(by: { $0.key < $1.key }) where before[number] == nil {
                effect.inserted[index].append(row)
            }
            present.tables[index] = rows
            let isTransaction = statement.sql.hasPrefix("BEGIN TRANSACTION")
            if isTransaction, statement.sql.contains("UPDATE \(table.reference.sql)"), rows != before {
                effect.guarded.append(.init(table: index, rows: before))
            }
        }
        return effect
    }

    private func read(
        _ table: (reference: TableReference, columns: [FieldSchema])
    ) async throws -> [Int64: [SQLValue]] {
        let rows = try await warehouse.query(
            Statement("read the model", "SELECT rowid AS row_number, * FROM \(table.reference.sql)")
        ).rows
        return try Dictionary(
            uniqueKeysWithValues: rows.map { row in
                (try row.int64("row_number"), table.columns.map { row[$0.name] ?? .null(.string) })
            })
    }

    private func fill(with contents: ModelContents) async throws {
        for (index, table) in tables.enumerated() where present.tables[index] != contents.tables[index] {
            _ = try await warehouse.query(
                Statement("empty the model", "DELETE FROM \(table.reference.sql) WHERE TRUE"))
            for (number, row) in contents.tables[index] {
                let names = table.columns.map(\.name).joined(separator: ", ")
                let values = table.columns.indices.map { "@c\($0)" }.joined(separator: ", ")
                var insert = Statement(
                    "fill the model",
                    "INSERT INTO \(table.reference.sql) (rowid, \(names)) SELECT @number, \(values)")
                insert.parameters =
                    [SQLValue.Field("number", .int64(number))]
                    + row.enumerated().map { SQLValue.Field("c\($0)", $1) }
                _ = try await warehouse.query(insert)
            }
            present.tables[index] = contents.tables[index]
        }
    }
}
