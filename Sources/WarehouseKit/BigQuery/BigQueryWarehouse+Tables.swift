import FoundationEssentials
import HTTPTransport

extension BigQueryWarehouse {
    package func table(_ reference: TableReference) async throws -> Table? {
        let call = BigQueryAPI.Call(
            // BASIC leaves out the storage statistics, which cost the server time.
            method: .tablesGet, path: path(of: reference), query: [("view", "BASIC")],
            operation: "read table \(reference)", scope: .dataset)
        return try await whereFound { try api.decode(Table.self, from: try await api.send(call), of: call) }
    }

    package func tables(in dataset: DatasetID) async throws -> [String] {
        var names: [String] = []
        var pageToken = ""
        repeat {
            let call = BigQueryAPI.Call(
                method: .tablesList, path: "/datasets/\(dataset)/tables", query: page(pageToken),
                operation: "list the tables of \(dataset)", scope: .dataset)
            let page = try api.decode(TableList.self, from: try await api.send(call), of: call)
            names += (page.tables ?? []).map(\.tableReference.tableId)
            pageToken = page.nextPageToken ?? ""
        } while !pageToken.isEmpty
        return names.sorted()
    }

    package func createTable(_ reference: TableReference, _ table: Table) async throws -> Bool {
        let call = BigQueryAPI.Call(
            method: .tablesInsert, verb: .post, path: "/datasets/\(reference.dataset)/tables",
            body: try JSONEncoder().encode(NewTable(project: api.project, reference: reference, table: table)),
            operation: "create table \(reference)",
            scope: .dataset)
        return try await isCreated {
            _ = try await api.send(call)
        } isAsMade: {
            guard let actual = try await self.table(reference) else { return false }
            return SchemaDiff(expected: table, actual: actual).isConforming
        }
    }

    package func updateSchema(
        of reference: TableReference, to fields: [FieldSchema], ifMatch etag: String
    ) async throws {
        let call = BigQueryAPI.Call(
            method: .tablesPatch, verb: .patch, path: path(of: reference), headers: ["If-Match": etag],
            body: try JSONEncoder().encode(["schema": Table.Schema(fields: fields)]),
            operation: "add columns to table \(reference)", scope: .dataset)
        _ = try await api.send(call)
    }

    private func path(of reference: TableReference) -> String {
        "/datasets/\(reference.dataset)/tables/\(reference.table)"
    }
}

/// The catalog's table with the reference that `tables.insert` wants.
private struct NewTable: Encodable {
    var project: ProjectID
    var reference: TableReference
    var table: Table

    enum CodingKeys: String, CodingKey {
        case tableReference
    }

    func encode(to encoder: any Encoder) throws {
        try table.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(
            ["projectId": project.name, "datasetId": reference.dataset.name, "tableId": reference.table],
            forKey: .tableReference)
    }
}

private struct TableList: Decodable {
    struct Item: Decodable {
        struct Reference: Decodable {
            var tableId: String
        }

        var tableReference: Reference
    }

    var tables: [Item]?
    var nextPageToken: String?
}
