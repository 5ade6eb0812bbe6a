import JobRuntime
import TestSupport
import Warehouse

@testable import VerifyKit

/// A cell of a right warehouse, another value for it, and the invariant that breaks.
struct Cell: Sendable, CustomStringConvertible {
    let table: String
    let column: String
    /// Which rows are changed, one at a time.
    let rows: String
    /// The new value, in SQL. `@old` is the old one.
    let value: Value
    let breaks: Invariant

    enum Value: Sendable {
        case sql(String)
        case of(@Sendable (SQLValue) -> SQLValue)
    }

    init(_ table: String, _ column: String, _ value: Value, where rows: String = "TRUE", breaks: Invariant) {
        (self.table, self.column, self.value, self.rows, self.breaks) = (table, column, value, rows, breaks)
    }

    var description: String { "\(table).\(column) where \(rows) breaks \(breaks.name)" }

    static func set(_ value: SQLValue) -> Value { .of { _ in value } }

    static func add(_ number: Int64) -> Value {
        .of { if case .int64(let old) = $0 { .int64(old + number) } else { .int64(number) } }
    }

    static func later(days: Int = 0, seconds: Int = 0) -> Value {
        .of { old in
            let duration = Duration.seconds(86_400 * days + seconds)
            return switch old {
            case .timestamp(let instant): .timestamp(instant.adding(duration))
            case .date(let date): .date(date.adding(days: days))
            default: .timestamp(RightWarehouse.night.adding(duration))
            }
        }
    }

    /// The rows in the warehouse to which this applies, at most two, by SQLite's number of the row.
    func places(in warehouse: any Warehouse) async throws -> [Int64] {
        try await warehouse.run("SELECT rowid AS place FROM `\(table)` WHERE \(rows) ORDER BY place DESC LIMIT 2").rows
            .map { try $0.int64("place") }
    }

    /// Changes the cell, looks, and restores it.
    func whileChanged<Value>(at place: Int64, in warehouse: any Warehouse, _ look: () async throws -> Value)
        async throws
        -> Value
    {
        let read = try await warehouse.run(
            "SELECT `\(column)` AS old FROM `\(table)` WHERE rowid = @place", ["place": .int64(place)])
        let old = read.rows[0]["old"]!
        try await write(old, at: place, in: warehouse, isChange: true)
        let seen = try await look()
        try await write(old, at: place, in: warehouse, isChange: false)
        return seen
    }

    private func write(_ old: SQLValue, at place: Int64, in warehouse: any Warehouse, isChange: Bool) async throws {
        let (sql, new): (String, SQLValue) =
            switch value {
            case _ where !isChange: ("@new", old)
            case .sql(let sql): (sql, old)
            case .of(let change): ("@new", change(old))
            }
        let result = try await warehouse.run(
            "UPDATE `\(table)` SET `\(column)` = \(sql) WHERE rowid = @place", ["place": .int64(place), "new": new])
        precondition(result.affectedRows == 1)
    }
}
