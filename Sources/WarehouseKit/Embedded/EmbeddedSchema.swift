#if EmbeddedWarehouse
    import GRDB

    /// Creates and widens tables within one transaction, their columns and what is known of them together.
    struct EmbeddedSchema {
        private let database: Database
        private let metadata: EmbeddedMetadata

        init(_ database: Database) {
            self.database = database
            metadata = EmbeddedMetadata(database)
        }

        /// - Returns: `false` if it was there.
        func create(_ reference: TableReference, _ table: Table) throws -> Bool {
            let names = try metadata.tables(in: reference.dataset)
            if names.contains(reference.table) { return false }
            if let other = names.first(where: { $0.lowercased() == reference.table.lowercased() }) {
                throw EmbeddedMetadata.indistinct(reference.table, other)
            }
            try Self.validate(table.schema.fields)
            let columns = table.schema.fields.map { SQLiteColumn($0).definition }.joined(separator: ", ")
            try database.execute(sql: "CREATE TABLE \(reference.sql) (\(columns))")
            try metadata.insert(reference, table)
            return true
        }

        func update(_ reference: TableReference, to fields: [FieldSchema], ifMatch etag: String) throws {
            guard var table = try metadata.table(reference) else {
                throw problem(.notFound, "Not found: Table \(reference)")
            }
            guard table.etag == etag else {
                throw problem(.preconditionFailed, "Precondition check failed: the table has changed")
            }
            try Self.validate(fields)
            if let complaint = AdditiveChange.complaint(from: table.schema.fields, to: fields) {
                throw problem(.invalid, "Provided Schema does not match Table \(reference). \(complaint)")
            }
            let old = Dictionary(
                table.schema.fields.map { ($0.name.lowercased(), $0) }, uniquingKeysWith: { first, _ in first })
            for field in fields {
                guard let existing = old[field.name.lowercased()] else {
                    try database.execute(
                        sql: "ALTER TABLE \(reference.sql) ADD COLUMN \(SQLiteColumn(field).definition)")
                    continue
                }
                if existing.mode == .required && field.mode != .required {
                    throw problem(.notImplemented, "SQLite cannot make the REQUIRED column \(field.name) NULLABLE")
                }
            }
            table.schema.fields = fields
            try metadata.replace(reference, by: table)
        }

        /// The names and types end up in DDL, so they are held to BigQuery's rules first.
        private static func validate(_ fields: [FieldSchema]) throws {
            var names: Set<String> = []
            for field in fields {
                guard (1...300).contains(field.name.utf8.count), field.name.utf8.allSatisfy(\.isWordCharacter),
                    field.name.utf8.first?.isDigit == false
                else { throw problem(.invalid, "Invalid field name \"\(field.name)\"") }
                guard names.insert(field.name.lowercased()).inserted else {
                    throw problem(.invalid, "Field \(field.name) already exists in schema")
                }
                guard FieldSchema.knownTypes.contains(field.canonicalType) else {
                    throw problem(.invalid, "Invalid value for type: \(field.type) of field \(field.name)")
                }
                if field.canonicalType == "STRUCT" { try validate(field.fields) }
            }
            if names.isEmpty { throw problem(.invalid, "a table or RECORD needs at least one field") }
        }

        private static func problem(_ code: WarehouseError.Code, _ message: String) -> WarehouseError {
            WarehouseError(code, operation: "change a schema", message: message)
        }

        private func problem(_ code: WarehouseError.Code, _ message: String) -> WarehouseError {
            Self.problem(code, message)
        }
    }
#endif
