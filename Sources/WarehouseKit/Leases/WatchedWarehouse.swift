import Synchronization

/// A warehouse that remembers whether one of its statements may still be running, since nobody saw its end: the client was
/// cancelled or cut off. An error about the statement itself is an end.
final class WatchedWarehouse: Warehouse {
    private let warehouse: any Warehouse
    private let isOpen = Mutex(false)

    init(_ warehouse: any Warehouse) {
        self.warehouse = warehouse
    }

    var mayBeRunning: Bool { isOpen.withLock { $0 } }

    func query(_ statement: Statement) async throws -> QueryResult {
        try await watching { try await warehouse.query(statement) }
    }

    func merge(_ merge: MergeStatement) async throws -> MergeResult {
        try await watching { try await warehouse.merge(merge) }
    }

    private func watching<Value>(_ run: () async throws -> Value) async throws -> Value {
        do {
            return try await run()
        } catch {
            if Self.leavesOpen(error) { isOpen.withLock { $0 = true } }
            throw error
        }
    }

    private static func leavesOpen(_ error: any Error) -> Bool {
        guard let error = error as? WarehouseError else { return true }
        return error.mayHaveBeenDone
            || [.transport, .backendError, .rateLimited, .unauthenticated, .unexpectedResult].contains(error.code)
    }

    var location: String { warehouse.location }
    func dataset(_ id: DatasetID) async throws -> Dataset? { try await warehouse.dataset(id) }
    func createDataset(_ dataset: Dataset) async throws -> Bool { try await warehouse.createDataset(dataset) }
    func table(_ reference: TableReference) async throws -> Table? { try await warehouse.table(reference) }
    func tables(in dataset: DatasetID) async throws -> [String] { try await warehouse.tables(in: dataset) }

    func createTable(_ reference: TableReference, _ table: Table) async throws -> Bool {
        try await warehouse.createTable(reference, table)
    }

    func createTables(_ tables: [NamedTable], in dataset: DatasetID) async throws {
        try await warehouse.createTables(tables, in: dataset)
    }

    func updateSchema(of reference: TableReference, to fields: [FieldSchema], ifMatch etag: String) async throws {
        try await warehouse.updateSchema(of: reference, to: fields, ifMatch: etag)
    }

    func survey(
        _ datasets: [DatasetID], for tables: [NamedTable], known: TableReference?
    ) async throws -> SchemaSurvey {
        try await warehouse.survey(datasets, for: tables, known: known)
    }
}
