import Testing
package import Warehouse
import WarehouseKit

/// The contract of every `Warehouse`, as clauses that a test target runs one by one:
///
/// ```swift
/// @Test(arguments: WarehouseContract.clauses)
/// func keeps(_ clause: WarehouseContract.Clause) async throws {
///     try await clause.verify(on: warehouse, prefix: "run1234")
/// }
/// ```
///
/// Clauses do not depend on each other and may run at once. Each creates its own datasets, whose names begin with `prefix`; on
/// a server that outlives the run the prefix must be new. The statements are valid GoogleSQL.
package struct WarehouseContract: Sendable {
    package struct Clause: Sendable, CustomTestStringConvertible {
        package let name: String
        let check: @Sendable (WarehouseContract) async throws -> Void

        init(_ name: String, _ check: @escaping @Sendable (WarehouseContract) async throws -> Void) {
            self.name = name
            self.check = check
        }

        package var testDescription: String { name }

        package func verify(on warehouse: any Warehouse, prefix: String) async throws {
            try await check(WarehouseContract(warehouse: warehouse, prefix: prefix))
        }
    }

    package static let clauses =
        datasetClauses + tableClauses + schemaUpdateClauses + tableChangeClauses + valueClauses + nestedValueClauses
        + statementClauses
        + scriptClauses + mergeClauses + surveyClauses

    let warehouse: any Warehouse
    let prefix: String

    /// A dataset of this clause's own that is not there yet.
    func datasetID(_ name: String) throws -> DatasetID {
        try #require(DatasetID("\(prefix)_\(name)"))
    }

    func reference(_ dataset: DatasetID, _ table: String) throws -> TableReference {
        try #require(TableReference(dataset, table))
    }

    func newDataset(_ name: String) async throws -> DatasetID {
        let id = try datasetID(name)
        #expect(try await warehouse.createDataset(Dataset(id: id, location: warehouse.location)))
        return id
    }

    /// A table in a dataset of this clause's own.
    func newTable(_ name: String, _ fields: [FieldSchema]) async throws -> TableReference {
        let reference = try await self.reference(newDataset(name), "rows")
        #expect(try await warehouse.createTable(reference, Table(fields: fields)))
        return reference
    }

    @discardableResult
    func run(_ sql: String, _ parameters: KeyValuePairs<String, SQLValue> = [:]) async throws -> QueryResult {
        try await warehouse.query(Statement("check the warehouse contract", sql, parameters: parameters))
    }

    func expect(
        _ code: WarehouseError.Code, sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
    ) async {
        let error = await #expect(throws: WarehouseError.self, sourceLocation: sourceLocation) { try await body() }
        if let error { #expect(error.code == code, "\(error)", sourceLocation: sourceLocation) }
    }
}

extension FieldSchema {
    /// With GoogleSQL's type names throughout: a server may answer with the legacy ones.
    var canonical: FieldSchema {
        var field = self
        field.type = canonicalType
        field.fields = fields.map(\.canonical)
        return field
    }
}
