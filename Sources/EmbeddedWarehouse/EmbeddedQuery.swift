import GRDB
import GRDBSQLite
import Warehouse

import struct Warehouse.Row
import struct Warehouse.Statement
import struct Warehouse.Table

/// Binds and runs one statement on one connection, and gives each result column its type.
///
/// A plain column has the type that its table declared, also in a subquery. An expression has the type of the value that SQLite
/// computed.
struct EmbeddedQuery {
    private let database: Database

    init(_ database: Database) {
        self.database = database
    }

    static func bindings(of statement: Statement) throws -> [String: DatabaseValue] {
        try Dictionary(
            statement.parameters.map { ($0.name, try $0.value.databaseValue()) },
            uniquingKeysWith: { first, _ in first })
    }

    func run(_ part: SQLiteScript.Part, _ parameters: [String: DatabaseValue]) throws -> QueryResult {
        var rows: [Row] = []
        var result = try run(part, parameters, rowsPerPage: .max) { rows = $0 }
        result.rows = rows
        return result
    }

    /// - Parameter handle: Gets each page of rows while the statement is running, and at least one page of a SELECT.
    /// - Returns: The result without its rows.
    func run(
        _ part: SQLiteScript.Part, _ parameters: [String: DatabaseValue], rowsPerPage: Int,
        eachPage handle: (_ rows: [Row]) throws -> Void
    ) throws -> QueryResult {
        let statement = try prepared(part.sql)
        try statement.setArguments(try arguments(of: statement, parameters))
        if part.isChange {
            try statement.execute()
            return QueryResult(affectedRows: Int64(database.changesCount))
        }
        // A read is rolled back, so SQLite must agree that it is one.
        guard statement.isReadonly else { throw problem("the statement begins as a query and changes rows") }
        let columns = try columns(of: statement)
        var page: [Row] = []
        let rows = try GRDB.Row.fetchCursor(statement)
        while let row = try rows.next() {
            if page.count == rowsPerPage {
                try handle(page)
                page.removeAll(keepingCapacity: true)
            }
            page.append(Row(try columns.enumerated().map { SQLValue.Field($1.name, try $1.value(row[$0])) }))
        }
        try handle(page)
        return QueryResult()
    }

    /// The statement, ready to run. A table that it names gets its SQLite table if it has none yet.
    private func prepared(_ sql: String) throws -> GRDB.Statement {
        while true {
            do {
                return try database.cachedStatement(sql: sql)
            } catch let error as DatabaseError {
                guard let name = error.missingTable, try EmbeddedSchema(database).storeTable(named: name) else {
                    throw error
                }
            }
        }
    }

    /// The parameters that the statement names. A statement of a script need not name all of them.
    private func arguments(
        of statement: GRDB.Statement, _ parameters: [String: DatabaseValue]
    ) throws -> StatementArguments {
        var arguments: [String: DatabaseValue] = [:]
        for index in 0..<sqlite3_bind_parameter_count(statement.sqliteStatement) {
            guard let text = sqlite3_bind_parameter_name(statement.sqliteStatement, index + 1) else {
                throw problem("Positional parameters are not supported")
            }
            let name = String(String(cString: text).dropFirst())
            guard let value = parameters[name] else { throw problem("Query parameter '\(name)' not found") }
            arguments[name] = value
        }
        return StatementArguments(arguments)
    }

    private func columns(of statement: GRDB.Statement) throws -> [ResultColumn] {
        var tables: [String: Table] = [:]
        return try statement.columnNames.enumerated().map { index, name in
            guard let declared = text(sqlite3_column_decltype(statement.sqliteStatement, Int32(index))),
                let logical = SQLiteColumn.logicalType(declared)
            else { return ResultColumn(name: name, kind: .expression) }
            if let type = SQLType(scalarName: logical) { return ResultColumn(name: name, kind: .scalar(type)) }
            // The declared type does not show the inner fields.
            let table = text(sqlite3_column_table_name(statement.sqliteStatement, Int32(index))) ?? ""
            let origin = text(sqlite3_column_origin_name(statement.sqliteStatement, Int32(index))) ?? ""
            if tables[table] == nil {
                tables[table] = try EmbeddedMetadata.reference(table).flatMap(EmbeddedMetadata(database).table)
            }
            guard
                let field = tables[table]?.schema.fields.first(where: {
                    $0.name.lowercased() == origin.lowercased()
                })
            else { throw problem("column \(name) is in no schema") }
            return ResultColumn(name: name, kind: .nested(field))
        }
    }

    private func text(_ pointer: UnsafePointer<CChar>?) -> String? { pointer.map { String(cString: $0) } }

    private func problem(_ message: String) -> WarehouseError {
        WarehouseError(.invalid, operation: "run the statement", message: message)
    }
}

/// A column of a result and the source of its type.
struct ResultColumn {
    enum Kind {
        case scalar(SQLType)
        case nested(FieldSchema)
        case expression
    }

    var name: String
    var kind: Kind

    func value(_ stored: DatabaseValue) throws -> SQLValue {
        let value: SQLValue? =
            switch kind {
            case .expression: SQLValue(stored)
            case .scalar(let type): SQLValue(stored, of: type)
            case .nested(let field): StoredJSON.read(String.fromDatabaseValue(stored) ?? "null", as: field)
            }
        guard let value else {
            throw WarehouseError(
                .unexpectedResult, operation: "read a result row",
                message: "column \(name) holds no value of its type")
        }
        return value
    }
}

/// Runs a merge on SQLite within one transaction. The rows of the SELECT go into a temporary table first, so that the merge never
/// reads its own changes.
struct EmbeddedMerge {
    private let merge: MergeStatement

    init(_ merge: MergeStatement) {
        self.merge = merge
    }

    func run(in database: Database) throws -> MergeResult {
        try execute("DROP TABLE IF EXISTS temp.merge_source", in: database)
        try execute("CREATE TEMPORARY TABLE merge_source AS SELECT * FROM (\(merge.source))", in: database)
        try rejectAmbiguousRows(in: database)
        var (updated, inserted): (Int64, Int64) = (0, 0)
        if merge.changesRows {
            updated = try execute(
                """
                UPDATE \(merge.target.sql) AS t SET \(merge.assignments) FROM temp.merge_source AS s
                WHERE \(merge.match) AND \(merge.scope) AND (\(merge.difference))
                """, in: database)
        }
        if !merge.inserted.isEmpty {
            inserted = try execute(
                """
                INSERT INTO \(merge.target.sql) (\(merge.insertedColumns)) SELECT \(merge.insertedValues)
                FROM temp.merge_source AS s LEFT JOIN \(merge.target.sql) AS t ON \(merge.match) AND \(merge.scope)
                WHERE t.rowid IS NULL
                """, in: database)
        }
        try execute("DROP TABLE temp.merge_source", in: database)
        return MergeResult(inserted: inserted, updated: updated)
    }

    private func rejectAmbiguousRows(in database: Database) throws {
        let keys = merge.keys.map { "s.`\($0)`" }.joined(separator: ", ")
        let ambiguous = try EmbeddedQuery(database).run(
            SQLiteScript.Part(
                sql: try rewritten(
                    """
                    SELECT 1 FROM (SELECT \(keys) FROM temp.merge_source AS s GROUP BY \(keys) HAVING COUNT(*) > 1) AS s
                    JOIN \(merge.target.sql) AS t ON \(merge.match) AND \(merge.scope) LIMIT 1
                    """), isChange: false), try EmbeddedQuery.bindings(of: merge.statement("")))
        guard ambiguous.rows.isEmpty else {
            throw WarehouseError(
                .invalid, operation: merge.purpose,
                message: "UPDATE/MERGE must match at most one source row for each target row")
        }
    }

    @discardableResult
    private func execute(_ sql: String, in database: Database) throws -> Int64 {
        let part = SQLiteScript.Part(sql: try rewritten(sql), isChange: true)
        let result = try EmbeddedQuery(database).run(part, try EmbeddedQuery.bindings(of: merge.statement("")))
        return result.affectedRows ?? 0
    }

    private func rewritten(_ sql: String) throws -> String {
        let types = Dictionary(
            merge.parameters.map { ($0.name, $0.value.type) }, uniquingKeysWith: { first, _ in first })
        var rewriter = SQLiteRewriter(try SQLTokenizer.tokens(of: sql), parameters: types)
        return try rewriter.rewritten()
    }
}
