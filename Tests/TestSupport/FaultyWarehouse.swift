import HTTPTransport
import Synchronization
package import Warehouse

/// A warehouse that fails at one of the statements that go through it.
package final class FaultyWarehouse: Warehouse {
    package enum Fault: Hashable, Sendable {
        /// The process dies before that statement, the first being 0: it and all later ones fail, and nothing is executed.
        case killedBefore(Int)
        /// The process dies while it waits for that statement, which is executed.
        case killedDuring(Int)
        /// That statement is executed, and its reply does not arrive. Later ones work.
        case replyLost(Int)
    }

    private let warehouse: any Warehouse
    private let fault: Fault?
    private let started = Mutex(0)
    /// Runs after each statement that was executed: something that happens in between.
    private let afterEach: @Sendable (_ index: Int) async throws -> Void
    /// Runs before each statement, whether it will be executed or not.
    private let beforeEach: @Sendable (_ index: Int) async throws -> Void
    private let refuses: @Sendable (Statement) -> Bool
    private let missingTable: (name: String, code: WarehouseError.Code)?

    package init(
        _ warehouse: any Warehouse, _ fault: Fault? = nil,
        beforeEach: @escaping @Sendable (_ index: Int) async throws -> Void = { _ in },
        afterEach: @escaping @Sendable (_ index: Int) async throws -> Void = { _ in },
        refuses: @escaping @Sendable (Statement) -> Bool = { _ in false },
        missingTable: (name: String, code: WarehouseError.Code)? = nil
    ) {
        self.warehouse = warehouse
        self.fault = fault
        self.beforeEach = beforeEach
        self.afterEach = afterEach
        self.refuses = refuses
        self.missingTable = missingTable
    }

    /// How many statements were tried.
    package var statements: Int { started.withLock { $0 } }

    package func query(_ statement: Statement) async throws -> QueryResult {
        try await pass {
            if refuses(statement) {
                throw WarehouseError(.invalid, operation: statement.purpose, message: "a value is refused")
            }
            if let missingTable, statement.sql.contains(missingTable.name) {
                throw WarehouseError(
                    missingTable.code, operation: statement.purpose, message: "there is no \(missingTable.name)")
            }
            return try await warehouse.query(statement)
        }
    }

    package func merge(_ merge: MergeStatement) async throws -> MergeResult {
        try await pass { try await warehouse.merge(merge) }
    }

    private func pass<Value>(_ run: () async throws -> Value) async throws -> Value {
        let index = started.withLock { count in
            defer { count += 1 }
            return count
        }
        try await beforeEach(index)
        switch fault {
        case .killedBefore(let last) where index >= last: throw Self.failure
        case .killedDuring(let last) where index > last: throw Self.failure
        default: break
        }
        let value = try await run()
        try await afterEach(index)
        switch fault {
        case .killedDuring(index), .replyLost(index): throw Self.failure
        default: return value
        }
    }

    private static let failure = WarehouseError(
        .transport, operation: "run a statement", message: "the connection is gone", certainty: .unknown)

    package var location: String { warehouse.location }
    package func dataset(_ id: DatasetID) async throws -> Dataset? { try await warehouse.dataset(id) }
    package func createDataset(_ dataset: Dataset) async throws -> Bool { try await warehouse.createDataset(dataset) }
    package func table(_ reference: TableReference) async throws -> Table? { try await warehouse.table(reference) }
    package func tables(in dataset: DatasetID) async throws -> [String] { try await warehouse.tables(in: dataset) }

    package func createTable(_ reference: TableReference, _ table: Table) async throws -> Bool {
        try await warehouse.createTable(reference, table)
    }

    package func locations(of datasets: [DatasetID]) async throws -> DatasetLocations {
        try await warehouse.locations(of: datasets)
    }

    package func createTables(_ tables: [NamedTable], in dataset: DatasetID, at location: String) async throws {
        try await warehouse.createTables(tables, in: dataset, at: location)
    }

    package func updateSchema(
        of reference: TableReference, to fields: [FieldSchema], ifMatch etag: String
    ) async throws {
        try await warehouse.updateSchema(of: reference, to: fields, ifMatch: etag)
    }

    package func update(_ reference: TableReference, with change: TableChange, ifMatch etag: String) async throws {
        try await warehouse.update(reference, with: change, ifMatch: etag)
    }

    package func survey(_ scope: SurveyScope, for tables: [NamedTable]) async throws -> SchemaSurvey {
        try await warehouse.survey(scope, for: tables)
    }

    package func members(
        of groups: [SchemaSurvey.Group], in scope: SurveyScope, for tables: [NamedTable]
    ) async throws -> SchemaSurvey.Members {
        try await warehouse.members(of: groups, in: scope, for: tables)
    }
}
