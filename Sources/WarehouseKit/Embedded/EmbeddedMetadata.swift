#if EmbeddedWarehouse
    import FoundationEssentials
    import GRDB

    /// What the warehouse knows of its datasets and tables, within one transaction.
    struct EmbeddedMetadata {
        let database: Database

        init(_ database: Database) {
            self.database = database
        }

        func dataset(_ id: DatasetID) throws -> Dataset? {
            guard
                let row = try GRDB.Row.fetchOne(
                    database, sql: "SELECT location, description, labels FROM _datasets WHERE id = ? COLLATE BINARY",
                    arguments: [id.name])
            else { return nil }
            return Dataset(
                id: id, location: row[0], description: row[1],
                labels: try JSONDecoder().decode([String: String].self, from: row[2] as Data))
        }

        /// - Returns: `false` if it was there.
        func insert(_ dataset: Dataset) throws -> Bool {
            let names = try String.fetchAll(
                database, sql: "SELECT id FROM _datasets WHERE id = ?", arguments: [dataset.id.name])
            if names == [dataset.id.name] { return false }
            if let other = names.first { throw Self.indistinct(dataset.id.name, other) }
            try database.execute(
                sql: "INSERT INTO _datasets (id, location, description, labels) VALUES (?, ?, ?, ?)",
                arguments: [dataset.id.name, dataset.location, dataset.description, try Self.json(dataset.labels)])
            return true
        }

        /// With an etag that every change of the schema makes another.
        func table(_ reference: TableReference) throws -> Table? {
            guard
                let row = try GRDB.Row.fetchOne(
                    database,
                    sql: """
                        SELECT resource, version FROM _tables
                        WHERE dataset = ? COLLATE BINARY AND name = ? COLLATE BINARY
                        """,
                    arguments: [reference.dataset.name, reference.table])
            else { return nil }
            var table = try JSONDecoder().decode(Table.self, from: row[0] as Data)
            table.etag = String(row[1] as Int64)
            table.type = "TABLE"
            return table
        }

        /// Throws `notFound` for a dataset that is not there.
        func tables(in dataset: DatasetID) throws -> [String] {
            guard try self.dataset(dataset) != nil else { throw Self.missing(dataset) }
            return try String.fetchAll(
                database, sql: "SELECT name FROM _tables WHERE dataset = ?", arguments: [dataset.name])
        }

        func insert(_ reference: TableReference, _ table: Table) throws {
            try database.execute(
                sql: "INSERT INTO _tables (dataset, name, resource, version) VALUES (?, ?, ?, 1)",
                arguments: [reference.dataset.name, reference.table, try Self.resource(table)])
        }

        func replace(_ reference: TableReference, by table: Table) throws {
            try database.execute(
                sql: "UPDATE _tables SET resource = ?, version = version + 1 WHERE dataset = ? AND name = ?",
                arguments: [try Self.resource(table), reference.dataset.name, reference.table])
        }

        /// The tables of a dataset by name, as they are stored.
        func resources(in dataset: DatasetID) throws -> [String: String] {
            let rows = try GRDB.Row.fetchAll(
                database, sql: "SELECT name, resource FROM _tables WHERE dataset = ?", arguments: [dataset.name])
            return Dictionary(rows.map { ($0[0], $0[1]) }, uniquingKeysWith: { first, _ in first })
        }

        static func table(_ resource: String) throws -> Table {
            var table = try JSONDecoder().decode(Table.self, from: Data(resource.utf8))
            table.type = "TABLE"
            return table
        }

        static func missing(_ dataset: DatasetID) -> WarehouseError {
            WarehouseError(.notFound, operation: "find a dataset", message: "Not found: Dataset \(dataset)")
        }

        static func indistinct(_ name: String, _ other: String) -> WarehouseError {
            WarehouseError(
                .notImplemented, operation: "find a name",
                message: "the embedded warehouse cannot tell \(name) from \(other), which is there")
        }

        private static func resource(_ table: Table) throws -> String {
            var table = table
            table.etag = nil
            table.type = nil
            return try json(table)
        }

        private static func json(_ value: some Encodable) throws -> String {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(value), as: UTF8.self)
        }
    }
#endif
