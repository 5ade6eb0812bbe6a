import GRDB
import JobRuntime
package import Warehouse

package import struct Warehouse.Row
package import struct Warehouse.Statement
package import struct Warehouse.Table

/// A warehouse in one SQLite file, for a laptop, a demo and tests.
///
/// ```swift
/// let warehouse = try EmbeddedWarehouse(path: "demo.db")
/// let rows = try await warehouse.query(Statement("count the rows", "SELECT COUNT(*) AS n FROM `a.b`")).rows
/// ```
///
/// The table `organizations.org_profiles` is the SQLite table of that very name, so a statement is the same on both warehouses.
/// Limits:
/// - Statements are the part of GoogleSQL that ``SQLiteRewriter`` can translate. Anything else throws `notImplemented`.
/// - A REQUIRED column stays REQUIRED.
/// - Dataset and table names must differ in more than case.
/// - NUMERIC compares and sorts as text.
package struct EmbeddedWarehouse: Warehouse {
    package let location: String
    private let queue: DatabaseQueue
    private let scripts = SQLiteScripts()
    private let isInMemory: Bool

    /// - Parameters:
    ///   - path: A file, which is created if it is missing, or `:memory:`. The file's folder must exist.
    ///   - isDryRun: If nothing will be written. A missing or empty file is not created then.
    package init(path: String, location: String = "US", isDryRun: Bool = false) throws {
        self.location = location
        queue = try EmbeddedDatabase.open(path, isDryRun: isDryRun)
        isInMemory = queue.path == ":memory:"
    }

    package func dataset(_ id: DatasetID) async throws -> Dataset? {
        try await read("read dataset \(id)") { try EmbeddedMetadata($0).dataset(id) }
    }

    package func createDataset(_ dataset: Dataset) async throws -> Bool {
        try await write("create dataset \(dataset.id)") { try EmbeddedMetadata($0).insert(dataset) }
    }

    package func table(_ reference: TableReference) async throws -> Table? {
        try await read("read table \(reference)") { try EmbeddedMetadata($0).table(reference) }
    }

    package func tables(in dataset: DatasetID) async throws -> [String] {
        try await read("list the tables of \(dataset)") { try EmbeddedMetadata($0).tables(in: dataset).sorted() }
    }

    package func createTable(_ reference: TableReference, _ table: Table) async throws -> Bool {
        try await write("create table \(reference)") { try EmbeddedSchema($0).create(reference, table) }
    }

    package func createTables(_ tables: [NamedTable], in dataset: DatasetID, at location: String) async throws {
        try await write("create \(tables.count) tables in \(dataset)") { database in
            for table in tables {
                guard let reference = TableReference(dataset, table.name) else {
                    throw WarehouseError(
                        .invalid, operation: "create tables in \(dataset)",
                        message: "Invalid table ID \"\(table.name)\"")
                }
                _ = try EmbeddedSchema(database).create(reference, table.table)
            }
        }
    }

    package func updateSchema(
        of reference: TableReference, to fields: [FieldSchema], ifMatch etag: String
    ) async throws {
        try await write("update the schema of \(reference)") {
            try EmbeddedSchema($0).update(reference, to: fields, ifMatch: etag)
        }
    }

    package func update(_ reference: TableReference, with change: TableChange, ifMatch etag: String) async throws {
        try await write("update table \(reference)") {
            try EmbeddedSchema($0).update(reference, with: change, ifMatch: etag)
        }
    }

    /// A script is one transaction. It returns the rows and the number of affected rows of its last statement.
    package func query(_ statement: Statement) async throws -> QueryResult {
        try await translatingErrors(statement.purpose) {
            let script = try scripts.script(of: statement)
            let parameters = try EmbeddedQuery.bindings(of: statement)
            return try await access(script.isReadOnly ? .read : .write) { database in
                var result = QueryResult()
                for part in script.parts { result = try EmbeddedQuery(database).run(part, parameters) }
                return result
            }
        }
    }

    /// Reads the pages of a single SELECT while SQLite runs it. Any other statement has its rows on one page.
    package func query(
        _ statement: Statement, eachPage handle: (_ rows: [Row]) throws -> Void
    ) async throws -> QueryResult {
        try await translatingErrors(statement.purpose) {
            let script = try scripts.script(of: statement)
            guard let size = statement.rowsPerPage, script.isReadOnly, script.parts.count == 1 else {
                var result = try await query(statement)
                try handle(result.rows)
                result.rows = []
                return result
            }
            let parameters = try EmbeddedQuery.bindings(of: statement)
            // The handler of pages may not escape, so this waits for it on the calling thread.
            return try accessHere(.read) { database in
                try EmbeddedQuery(database).run(script.parts[0], parameters, rowsPerPage: size) { rows in
                    try Task.checkCancellation()
                    try handle(rows)
                }
            }
        }
    }

    package func merge(_ merge: MergeStatement) async throws -> MergeResult {
        try await write(merge.purpose) { try EmbeddedMerge(merge).run(in: $0) }
    }

    package func locations(of datasets: [DatasetID]) async throws -> DatasetLocations {
        try await read("find \(datasets.count) datasets") { database in
            let metadata = EmbeddedMetadata(database)
            return DatasetLocations(
                found: try datasets.reduce(into: [:]) { $0[$1] = try metadata.dataset($1)?.location })
        }
    }

    package func survey(_ scope: SurveyScope, for tables: [NamedTable]) async throws -> SchemaSurvey {
        let targets = try await targets(of: scope)
        return try await read("compare \(targets.count) datasets with the catalog") { database in
            var survey = EmbeddedSurvey(EmbeddedMetadata(database), for: tables, in: scope.location)
            for target in targets { try survey.add(target) }
            return survey.survey
        }
    }

    /// A survey names all members already.
    package func members(
        of groups: [SchemaSurvey.Group], in scope: SurveyScope, for tables: [NamedTable]
    ) async throws -> SchemaSurvey.Members {
        SchemaSurvey.Members(byKey: groups.reduce(into: [:]) { $0[$1.key] = $1.members })
    }

    private func targets(of scope: SurveyScope) async throws -> [SurveyTarget] {
        switch scope.targets {
        case .datasets(let targets): return targets
        case .rows(let statement):
            return try await query(statement).rows.compactMap { row in
                let subject = try row.string("subject")
                guard scope.task.isMine(subject), let dataset = DatasetID(try row.string("dataset")) else { return nil }
                return SurveyTarget(subject: subject, dataset: dataset)
            }.sorted()
        }
    }

    private func read<Value: Sendable>(
        _ operation: String, _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws -> Value {
        try await translatingErrors(operation) { try await access(.read, body) }
    }

    private func write<Value: Sendable>(
        _ operation: String, _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws -> Value {
        try await translatingErrors(operation) { try await access(.write, body) }
    }

    private enum Access {
        /// Changes nothing, because it is rolled back.
        case read
        /// Takes the lock first (BEGIN IMMEDIATE), so it waits for other processes and never fails half-way because of them.
        case write
    }

    /// A statement on a file may wait for another process, so it runs on GRDB's thread. A statement in memory takes
    /// microseconds, so it runs here.
    private func access<Value: Sendable>(
        _ access: Access, _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws -> Value {
        if isInMemory { return try accessHere(access, body) }
        return try await queue.writeWithoutTransaction { try Self.transaction(access, on: $0, body) }
    }

    private func accessHere<Value>(_ access: Access, _ body: (Database) throws -> Value) throws -> Value {
        try queue.writeWithoutTransaction { try Self.transaction(access, on: $0, body) }
    }

    private static func transaction<Value>(
        _ access: Access, on database: Database, _ body: (Database) throws -> Value
    ) throws -> Value {
        var value: Value?
        switch access {
        case .write:
            try database.inTransaction(.immediate) {
                value = try body(database)
                return .commit
            }
        case .read:
            // A table that the statement names may get its SQLite table, until the end of the transaction.
            func read(_ kind: Database.TransactionKind) throws {
                try database.inTransaction(kind) {
                    value = try body(database)
                    return .rollback
                }
            }
            do {
                try read(.deferred)
            } catch let error as DatabaseError where error.extendedResultCode == .SQLITE_BUSY_SNAPSHOT {
                // Another process wrote between the beginning of the transaction and the creation of the table.
                try read(.immediate)
            }
        }
        return value!
    }

    private func translatingErrors<Value>(_ operation: String, _ body: () async throws -> Value) async throws
        -> Value
    {
        do {
            return try await body()
        } catch let error as DatabaseError {
            throw WarehouseError(error, operation: operation)
        } catch var error as WarehouseError {
            error.operation = operation
            throw error
        }
    }
}

/// Groups datasets by the state of their tables, within one transaction.
///
/// Tables that are alike share their stored definition, so each definition is read once.
struct EmbeddedSurvey {
    private enum Key: Hashable {
        case noDataset, dataset
        case noTable(String)
        case table(String, definition: Int64)
    }

    private let metadata: EmbeddedMetadata
    private let wanted: [NamedTable]
    private let location: String
    private var indices: [Key: Int] = [:]
    private var groups: [SchemaSurvey.Group] = []

    init(_ metadata: EmbeddedMetadata, for tables: [NamedTable], in location: String) {
        self.metadata = metadata
        self.location = location
        wanted = tables
    }

    mutating func add(_ target: SurveyTarget) throws {
        guard try metadata.dataset(target.dataset)?.location.lowercased() == location.lowercased() else {
            add(target, .noDataset) { .noDataset }
            return
        }
        add(target, .dataset) { .dataset(DatasetDefaults()) }
        let metadata = metadata
        let definitions = try metadata.definitions(in: target.dataset)
        for table in wanted {
            if let definition = definitions[table.name] {
                try add(target, .table(table.name, definition: definition)) {
                    .table(table.name, try metadata.table(of: definition))
                }
            } else {
                add(target, .noTable(table.name)) { .noTable(table.name) }
            }
        }
    }

    var survey: SchemaSurvey {
        var survey = SchemaSurvey(groups: groups)
        for group in groups {
            guard case .table(let name, let table) = group.state else { continue }
            let known = wanted.first { $0.name == name }?.table.schema.fields.map { $0.name.lowercased() } ?? []
            let extra = table.schema.fields.map(\.name).filter { !known.contains($0.lowercased()) }
            guard !extra.isEmpty else { continue }
            survey.add(.init(Set(extra), of: name, count: group.count, members: Array(group.members.prefix(3))))
        }
        return survey
    }

    private mutating func add(_ target: SurveyTarget, _ key: Key, state: () throws -> SchemaSurvey.State) rethrows {
        if let index = indices[key] {
            groups[index].members.append(target)
            groups[index].count += 1
        } else {
            indices[key] = groups.count
            groups.append(
                SchemaSurvey.Group(state: try state(), count: 1, members: [target], key: "\(groups.count)"))
        }
    }
}
