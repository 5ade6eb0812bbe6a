import FoundationEssentials
import GRDB
import Warehouse

import struct Warehouse.Statement
import struct Warehouse.Table

/// Creates and widens tables. The SQLite table and its stored resource change within one transaction.
///
/// SQLite needs several kilobytes for an empty table, and reads the text of all tables to create one. So a table of which
/// another one has the same definition, such as a table of each organization, gets its SQLite table when a statement first
/// names it. A table without its like is an SQLite table from the start, so that other programs can fill it.
struct EmbeddedSchema {
    private let database: Database
    private let metadata: EmbeddedMetadata

    init(_ database: Database) {
        self.database = database
        metadata = EmbeddedMetadata(database)
    }

    /// - Returns: `false` if the table exists already.
    func create(_ reference: TableReference, _ table: Table) throws -> Bool {
        if let name = try metadata.name(like: reference) {
            if name == reference.table { return false }
            throw EmbeddedMetadata.indistinct(reference.table, name)
        }
        guard try metadata.dataset(reference.dataset) != nil else {
            throw EmbeddedMetadata.missing(reference.dataset)
        }
        try Self.validate(table.schema.fields)
        let (definition, isNew) = try metadata.definition(of: table)
        try metadata.insert(reference, definition)
        if isNew { try store(reference, table) }
        return true
    }

    /// Creates the SQLite table of a table that has none yet.
    /// - Parameter name: The name in a statement, such as `acme.costs`.
    /// - Returns: `false` if there is no such table.
    func storeTable(named name: String) throws -> Bool {
        guard let reference = EmbeddedMetadata.reference(name), let table = try metadata.table(reference) else {
            return false
        }
        try store(reference, table)
        // A rolled back transaction takes the table along, so no statement that was prepared with it may be kept.
        database.afterNextTransaction(onCommit: { _ in }, onRollback: { $0.clearSchemaCache() })
        return true
    }

    private func store(_ reference: TableReference, _ table: Table) throws {
        let columns = table.schema.fields.map { SQLiteColumn($0).definition }.joined(separator: ", ")
        try database.execute(sql: "CREATE TABLE \(reference.sql) (\(columns))")
        // A table of all organizations is clustered by their name, and statements join it by that. Without an index SQLite
        // reads the whole table for each organization.
        if table.clustering?.fields.first == Self.organization {
            try database.execute(
                sql: "CREATE INDEX `index.\(reference)` ON \(reference.sql) (`\(Self.organization)`)")
        }
    }

    private func isStored(_ reference: TableReference) throws -> Bool {
        try Bool.fetchOne(
            database, sql: "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?)",
            arguments: ["\(reference)"]) ?? false
    }

    private static let organization = "org_slug"

    func update(_ reference: TableReference, to fields: [FieldSchema], ifMatch etag: String) throws {
        var table = try self.table(reference, ifMatch: etag)
        try replaceFields(of: &table, reference, by: fields)
        try metadata.replace(reference, by: table)
    }

    func update(_ reference: TableReference, with change: TableChange, ifMatch etag: String) throws {
        var table = try self.table(reference, ifMatch: etag)
        if let fields = change.fields { try replaceFields(of: &table, reference, by: fields) }
        if let clustering = change.clustering {
            let names = Set(table.schema.fields.map { $0.name.lowercased() })
            if let stranger = clustering.fields.first(where: { !names.contains($0.lowercased()) }) {
                throw problem(.invalid, "The field specified for clustering cannot be found in the schema: \(stranger)")
            }
            table.clustering = clustering.fields.isEmpty ? nil : clustering
        }
        if let description = change.description { table.description = description }
        if !change.labels.isEmpty { table.labels = (table.labels ?? [:]).merging(change.labels) { $1 } }
        try metadata.replace(reference, by: table)
    }

    private func table(_ reference: TableReference, ifMatch etag: String) throws -> Table {
        guard let table = try metadata.table(reference) else {
            throw problem(.notFound, "Not found: Table \(reference)")
        }
        guard table.etag == etag else {
            throw problem(.preconditionFailed, "Precondition check failed: the table has changed")
        }
        return table
    }

    private func replaceFields(of table: inout Table, _ reference: TableReference, by fields: [FieldSchema]) throws {
        try Self.validate(fields)
        if let complaint = AdditiveChange.complaint(from: table.schema.fields, to: fields) {
            throw problem(.invalid, "Provided Schema does not match Table \(reference). \(complaint)")
        }
        let isStored = try isStored(reference)
        let old = Dictionary(
            table.schema.fields.map { ($0.name.lowercased(), $0) }, uniquingKeysWith: { first, _ in first })
        for field in fields {
            guard let existing = old[field.name.lowercased()] else {
                if isStored {
                    try database.execute(
                        sql: "ALTER TABLE \(reference.sql) ADD COLUMN \(SQLiteColumn(field).definition)")
                }
                continue
            }
            if existing.mode == .required && field.mode != .required {
                throw problem(.notImplemented, "SQLite cannot change the REQUIRED column \(field.name) to NULLABLE")
            }
        }
        table.schema.fields = fields
    }

    /// Names and types become part of DDL, so they are checked against BigQuery's rules first.
    private static func validate(_ fields: [FieldSchema]) throws {
        var names: Set<String> = []
        for field in fields {
            if let reason = ColumnName.problem(with: field.name) {
                throw problem(.invalid, "Invalid field name \"\(field.name)\": \(reason)")
            }
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

/// Reads and writes the stored resources of datasets and tables, within one transaction.
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

    /// - Returns: `false` if the dataset exists already.
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

    /// The table with its etag, which every change of the schema replaces.
    func table(_ reference: TableReference) throws -> Table? {
        guard
            let row = try GRDB.Row.fetchOne(
                database,
                sql: """
                    SELECT definition, version FROM _tables
                    WHERE dataset = ? COLLATE BINARY AND name = ? COLLATE BINARY
                    """,
                arguments: [reference.dataset.name, reference.table])
        else { return nil }
        var table = try table(of: row[0])
        table.etag = String(row[1] as Int64)
        return table
    }

    /// The name of the table as it was created; `nil` if there is none whose name differs in case at most.
    func name(like reference: TableReference) throws -> String? {
        try String.fetchOne(
            database, sql: "SELECT name FROM _tables WHERE dataset = ? AND name = ?",
            arguments: [reference.dataset.name, reference.table])
    }

    /// Throws `notFound` for a dataset that does not exist.
    func tables(in dataset: DatasetID) throws -> [String] {
        guard try self.dataset(dataset) != nil else { throw Self.missing(dataset) }
        return try String.fetchAll(
            database, sql: "SELECT name FROM _tables WHERE dataset = ?", arguments: [dataset.name])
    }

    func insert(_ reference: TableReference, _ definition: Int64) throws {
        try database.execute(
            sql: "INSERT INTO _tables (dataset, name, definition, version) VALUES (?, ?, ?, 1)",
            arguments: [reference.dataset.name, reference.table, definition])
    }

    func replace(_ reference: TableReference, by table: Table) throws {
        try database.execute(
            sql: "UPDATE _tables SET definition = ?, version = version + 1 WHERE dataset = ? AND name = ?",
            arguments: [try definition(of: table).id, reference.dataset.name, reference.table])
    }

    /// The number under which the definition is stored, once for all tables that have it.
    func definition(of table: Table) throws -> (id: Int64, isNew: Bool) {
        let resource = try Self.resource(table)
        let known = try Int64.fetchOne(
            database, sql: "SELECT id FROM _definitions WHERE resource = ?", arguments: [resource])
        if let known { return (known, false) }
        try database.execute(sql: "INSERT INTO _definitions (resource) VALUES (?)", arguments: [resource])
        return (database.lastInsertedRowID, true)
    }

    /// The definitions of a dataset's tables, by the name of the table.
    func definitions(in dataset: DatasetID) throws -> [String: Int64] {
        let rows = try GRDB.Row.fetchAll(
            database, sql: "SELECT name, definition FROM _tables WHERE dataset = ?", arguments: [dataset.name])
        return Dictionary(rows.map { ($0[0], $0[1]) }, uniquingKeysWith: { first, _ in first })
    }

    /// The columns of all tables, as a query in place of `INFORMATION_SCHEMA.COLUMNS`. The types have GoogleSQL's names.
    static let columnsView = """
        (SELECT t.dataset AS table_schema, t.name AS table_name, json_extract(f.value, '$.name') AS column_name,
          iif(json_extract(f.value, '$.mode') = 'REPEATED', 'ARRAY<', '') ||
            CASE upper(json_extract(f.value, '$.type'))
              WHEN 'INTEGER' THEN 'INT64' WHEN 'FLOAT' THEN 'FLOAT64' WHEN 'BOOLEAN' THEN 'BOOL' WHEN 'RECORD' THEN 'STRUCT'
              ELSE upper(json_extract(f.value, '$.type'))
            END || iif(json_extract(f.value, '$.mode') = 'REPEATED', '>', '') AS data_type
        FROM _tables AS t JOIN _definitions AS d ON d.id = t.definition, json_each(d.resource, '$.schema.fields') AS f)
        """

    func table(of definition: Int64) throws -> Table {
        let resource = try Data.fetchOne(
            database, sql: "SELECT resource FROM _definitions WHERE id = ?", arguments: [definition])
        var table = try JSONDecoder().decode(Table.self, from: resource ?? Data())
        table.type = "TABLE"
        return table
    }

    /// The table that an SQLite table of this name holds.
    static func reference(_ name: String) -> TableReference? {
        let parts = name.split(separator: ".").map(String.init)
        guard parts.count == 2, let dataset = DatasetID(parts[0]) else { return nil }
        return TableReference(dataset, parts[1])
    }

    static func missing(_ dataset: DatasetID) -> WarehouseError {
        WarehouseError(.notFound, operation: "find a dataset", message: "Not found: Dataset \(dataset)")
    }

    static func indistinct(_ name: String, _ other: String) -> WarehouseError {
        WarehouseError(
            .notImplemented, operation: "find a name",
            message: "the embedded warehouse does not distinguish \(name) from the existing \(other)")
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

/// Checks that a new schema keeps all of the old one: https://cloud.google.com/bigquery/docs/managing-table-schemas
enum AdditiveChange {
    /// The reason for which BigQuery refuses the change, in its words. `nil` if the change only adds fields or relaxes REQUIRED
    /// to NULLABLE.
    static func complaint(from old: [FieldSchema], to new: [FieldSchema], path: String = "") -> String? {
        let proposed = Dictionary(new.map { ($0.name.lowercased(), $0) }, uniquingKeysWith: { first, _ in first })
        for field in old {
            let name = path + field.name
            guard let candidate = proposed[field.name.lowercased()] else {
                return "Field \(name) is missing in new schema"
            }
            if candidate.canonicalType != field.canonicalType {
                return "Field \(name) has changed type from \(field.canonicalType) to \(candidate.canonicalType)"
            }
            if candidate.mode != field.mode && !(field.mode == .required && candidate.mode == .nullable) {
                return "Field \(name) has changed mode from \(field.mode.rawValue) to \(candidate.mode.rawValue)"
            }
            if let inner = complaint(from: field.fields, to: candidate.fields, path: name + ".") { return inner }
        }
        let names = Set(old.map { $0.name.lowercased() })
        return new.first { $0.mode == .required && !names.contains($0.name.lowercased()) }
            .map { "Cannot add required fields to an existing schema. (field: \(path + $0.name))" }
    }
}
