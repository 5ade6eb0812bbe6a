#if EmbeddedWarehouse
    import GRDB
    import GRDBSQLite

    /// One statement on one connection: binds, runs, and gives each result column its type.
    ///
    /// A plain column has the type that its table declared, wherever it stands in the statement; an expression has the type of
    /// what SQLite computed.
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
            let statement = try database.makeStatement(sql: part.sql)
            try statement.setArguments(try arguments(of: statement, parameters))
            if part.isChange {
                try statement.execute()
                return QueryResult(affectedRows: Int64(database.changesCount))
            }
            let columns = try columns(of: statement)
            var result = QueryResult()
            let rows = try GRDB.Row.fetchCursor(statement)
            while let row = try rows.next() {
                result.rows.append(
                    Row(try columns.enumerated().map { SQLValue.Field($1.name, try $1.value(row[$0])) }))
            }
            return result
        }

        /// Those of the parameters that the statement names: one of a script need not name all.
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
                // The declared type does not tell the inner fields.
                let table = text(sqlite3_column_table_name(statement.sqliteStatement, Int32(index))) ?? ""
                let origin = text(sqlite3_column_origin_name(statement.sqliteStatement, Int32(index))) ?? ""
                if tables[table] == nil { tables[table] = try self.table(named: table) }
                guard
                    let field = tables[table]?.schema.fields.first(where: {
                        $0.name.lowercased() == origin.lowercased()
                    })
                else { throw problem("column \(name) is in no schema") }
                return ResultColumn(name: name, kind: .nested(field))
            }
        }

        private func table(named name: String) throws -> Table? {
            let parts = name.split(separator: ".").map(String.init)
            guard parts.count == 2, let dataset = DatasetID(parts[0]), let reference = TableReference(dataset, parts[1])
            else { return nil }
            return try EmbeddedMetadata(database).table(reference)
        }

        private func text(_ pointer: UnsafePointer<CChar>?) -> String? { pointer.map { String(cString: $0) } }

        private func problem(_ message: String) -> WarehouseError {
            WarehouseError(.invalid, operation: "run the statement", message: message)
        }
    }
#endif
