import BigQueryWarehouse
import EmbeddedWarehouse
import Foundation
import JobRuntime
import TestSupport
import Testing

@testable import SchemaKit
@testable import Warehouse

/// Table files as people have them are usable as they are, or refused with the true reasons. `TableFiles/README.md` has their sources.
@Suite struct TableFileTests {
    private static let folder = Repository.path("Tests/SchemaKitTests/TableFiles")

    private static func files() throws -> [CatalogFile] {
        try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".json") }.sorted().map {
            name in
            CatalogFile(
                name: String(name.dropLast(5)), path: name,
                contents: try Data(contentsOf: URL(filePath: "\(folder)/\(name)")))
        }
    }

    private static func refused() throws -> [String: [String]] {
        let path = Repository.path("Tests/SchemaKitTests/refused-table-files.json")
        return try JSONDecoder().decode([String: [String]].self, from: Data(contentsOf: URL(filePath: path)))
    }

    private static func usable() throws -> [NamedTable] {
        let refused = try refused().keys
        return try files().filter { !refused.contains($0.name) }.map { try $0.table() }
    }

    @Test func areUsableOrRefusedWithTheReasons() throws {
        let files = try Self.files()
        var problems: [String: [String]] = [:]
        for file in files {
            do throws(CatalogError) {
                _ = try file.table()
            } catch {
                problems[file.name] = error.problems
            }
        }

        let expected = Dictionary(
            uniqueKeysWithValues: try Self.refused().map { name, reasons in
                (name, reasons.map { "\(name).json: \($0)" })
            })
        #expect(files.count == 30)
        #expect(problems == expected)
    }

    /// A member that BigQuery does not have is refused wherever it stands, with its path.
    @Test func areRefusedWithAnUnknownMemberAtAnyLevel() throws {
        let refused = try Self.refused().keys
        var count = 0
        for file in try Self.files() where !refused.contains(file.name) {
            let document = try JSONDecoder().decode(JSONValue.self, from: file.contents)
            for (changed, path) in Self.additions(of: "zzz", to: document, at: "") {
                var file = file
                file.contents = try JSONEncoder().encode(changed)
                let error = #expect(throws: CatalogError.self) { _ = try file.table() }
                #expect(error?.problems == ["\(file.path): \(path)zzz: no such member"])
                count += 1
            }
        }
        #expect(count > 300)
    }

    /// The document once for each object in it that is read, with the member in that object.
    private static func additions(
        of name: String, to value: JSONValue, at path: String
    ) -> [(document: JSONValue, path: String)] {
        let anyNames: Set<String> = ["labels", "resourceTags", "dataGovernanceTags"]
        let unread: Set<String> = [
            "tableReference", "streamingBuffer", "cloneDefinition", "partitionDefinition", "restrictions", "replicas",
        ]
        switch value {
        case .array(let elements):
            return elements.enumerated().flatMap { index, element in
                additions(of: name, to: element, at: "\(path.dropLast(path.hasSuffix(".") ? 1 : 0))[\(index)].").map {
                    var elements = elements
                    elements[index] = $0.document
                    return (.array(elements), $0.path)
                }
            }
        case .object(let object):
            var members = object.dictionary
            members[name] = .string("x")
            var all: [(document: JSONValue, path: String)] = [(.object(JSONObject(members)), path)]
            for (key, inner) in object.dictionary where !anyNames.contains(key) && !unread.contains(key) {
                all += additions(of: name, to: inner, at: "\(path)\(key).").map {
                    var members = object.dictionary
                    members[key] = $0.document
                    return (.object(JSONObject(members)), $0.path)
                }
            }
            return all
        default: return []
        }
    }

    @Test func areCreatedOnBigQueryAndThenInSync() async throws {
        let bigQuery = try await EmulatedBigQuery(project: "table-file-tests")

        try await expectInSync(on: bigQuery.warehouse)
    }

    @Test func areCreatedOnSQLiteAndThenInSync() async throws {
        try await expectInSync(on: EmbeddedWarehouse(path: ":memory:"))
    }

    private func expectInSync(on warehouse: any Warehouse) async throws {
        let dataset = try #require(DatasetID("files"))
        _ = try await warehouse.createDataset(Dataset(id: dataset, location: "US"))

        for table in try Self.usable() {
            let reference = try #require(TableReference(dataset, table.name))
            #expect(try await warehouse.createTable(reference, table.table))
            let actual = try #require(try await warehouse.table(reference))
            let diff = SchemaDiff(expected: table.table, actual: actual)
            #expect(diff.isConforming, "\(table.name): \(diff.conflicts) \(diff.additions)")
            #expect(actual.schema.fields.map(\.sqlType) == table.table.schema.fields.map(\.sqlType))
            #expect(actual.rangePartitioning == table.table.rangePartitioning)
        }
    }
}
