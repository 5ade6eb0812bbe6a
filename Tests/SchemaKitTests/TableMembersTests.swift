import Foundation
import JobRuntime
import TestSupport
import Testing

@testable import SchemaKit
@testable import Warehouse

/// The lists of members are those of BigQuery's discovery document. If a newer document has a new member, these tests fail: decide
/// in `TableMembers` whether a catalog file may have it.
@Suite struct TableMembersTests {
    private static func schemas() throws -> [String: JSONValue] {
        let library = Repository.path(".venv/lib")
        let version = try #require(
            FileManager.default.contentsOfDirectory(atPath: library).first { $0.hasPrefix("python3") })
        let path =
            "\(library)/\(version)/site-packages/googleapiclient/discovery_cache/documents/bigquery.v2.json"
        let document = try JSONDecoder().decode(JSONValue.self, from: Data(contentsOf: URL(filePath: path)))
        return try #require(document["schemas"]?.object)
    }

    /// Members that BigQuery sets and that the reader uses all the same: `type` says whether the file shows a table.
    private static let readAllTheSame: Set<String> = ["Table.type"]

    @Test func areThoseOfTheDiscoveryDocument() throws {
        var comparison = Comparison(schemas: try Self.schemas())

        comparison.compare(.object(TableMembers.table), with: ["$ref": .string("Table")], at: "Table")

        #expect(comparison.differences == [])
        #expect(comparison.compared.isSuperset(of: ["Table", "Table.schema.fields", "Table.schema.fields.policyTags"]))
    }

    private struct Comparison {
        let schemas: [String: JSONValue]
        var differences: [String] = []
        var compared: Set<String> = []

        init(schemas: [String: JSONValue]) {
            self.schemas = schemas
        }

        mutating func compare(_ shape: TableMembers.Shape, with documented: [String: JSONValue], at path: String) {
            if let name = documented["$ref"]?.text {
                return compare(shape, with: schemas[name]?.object ?? [:], at: path)
            }
            compared.insert(path)
            let type = documented["type"]?.text ?? ""
            switch shape {
            case .text: expect(type == "string" && documented["format"]?.text != "int64", path, type)
            case .flag: expect(type == "boolean", path, type)
            case .wholeNumber: expect(type == "string" && documented["format"]?.text == "int64", path, type)
            case .labels: expect(type == "object" && documented["additionalProperties"] != nil, path, type)
            case .choice(let names):
                // The document lists the values of some members in words only.
                let values = documented["enum"]?.array?.compactMap(\.text) ?? names
                if values.sorted() != names.sorted() { differences.append("\(path): the values are \(values)") }
            case .list(let element):
                expect(type == "array", path, type)
                compare(element, with: documented["items"]?.object ?? [:], at: path)
            case .fields:
                expect(type == "array", path, type)
                // The fields of a RECORD are columns again.
                if !path.hasSuffix("fields.fields") {
                    compare(.object(TableMembers.field), with: documented["items"]?.object ?? [:], at: path)
                }
            case .object(let members, _):
                compare(members, with: documented["properties"]?.object ?? [:], at: path)
            }
        }

        private mutating func compare(
            _ members: [String: TableMembers.Member], with documented: [String: JSONValue], at path: String
        ) {
            for name in documented.keys.sorted() where members[name] == nil {
                differences.append("\(path).\(name): BigQuery has it, and TableMembers does not say what becomes of it")
            }
            for (name, member) in members.sorted(by: { $0.key < $1.key }) {
                let place = "\(path).\(name)"
                guard let property = documented[name]?.object else {
                    differences.append("\(place): BigQuery does not have it")
                    continue
                }
                guard case .used(let shape) = member else { continue }
                if property["readOnly"] == .bool(true) && !TableMembersTests.readAllTheSame.contains(place) {
                    differences.append("\(place): BigQuery alone sets it")
                }
                compare(shape, with: property, at: place)
            }
        }

        private mutating func expect(_ condition: Bool, _ path: String, _ type: String) {
            if !condition { differences.append("\(path): BigQuery says \(type)") }
        }
    }

    /// What `Table` sends of its own accord and what it keeps is together what a catalog file may say.
    @Test func areAllKeptByATable() {
        let used = TableMembers.table.filter { if case .used = $0.value { true } else { false } }.keys

        #expect(
            Set(used)
                == Table.attributeNames.union([
                    "description", "labels", "schema", "timePartitioning", "rangePartitioning",
                    "requirePartitionFilter",
                    "clustering", "type",
                ]))
    }
}
