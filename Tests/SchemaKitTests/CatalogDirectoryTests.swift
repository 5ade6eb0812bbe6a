import Foundation
import TestSupport
import Testing

@testable import SchemaKit
@testable import Warehouse
@testable import WarehouseKit

@Suite struct CatalogDirectoryTests {
    private let folder: TemporaryFolder
    private let good = #"{"schema": {"fields": [{"name": "a", "type": "STRING"}]}}"#

    init() throws {
        folder = try TemporaryFolder()
    }

    private func write(_ file: String, _ text: String) throws {
        let url = URL(filePath: folder.file(file))
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    private func problems(_ groups: [Catalog.Group] = [.organization]) -> [String] {
        do {
            _ = try Catalog(directory: folder.path, groups)
            return []
        } catch {
            return error.problems.map { $0.replacing("\(folder.path)/", with: "") }
        }
    }

    @Test func readsTablesSortedAndNothingElse() throws {
        try write("organization/b.json", good)
        try write("organization/a.json", good)
        try write("organization/README.md", "not a table")

        let catalog = try Catalog(directory: folder.path, [.organization])

        #expect(catalog.tables(.organization).map(\.name) == ["a", "b"])
    }

    @Test(arguments: [
        ("{", "not valid JSON"), ("", "not valid JSON"), ("5", "the file is not a JSON object"),
        ("[]", "schema.fields is missing or empty"), (#"{"fields": []}"#, "schema.fields is missing or empty"),
        (#"[{"name": "a", "type": "DATE"}, 5]"#, "[1] is not a JSON object"),
        (#"{"schema": {}}"#, "schema.fields is missing or empty"),
        (#"{"schema": []}"#, "schema is not a JSON object"),
        (#"{"schema": {"fields": {}}}"#, "schema.fields is not a list"),
        (#"{"schema": {"fields": [{"type": "STRING"}]}}"#, #"schema.fields[0] has no "name""#),
        (#"{"schema": {"fields": [{"name": "a"}]}}"#, #"schema.fields[0] has no "type""#),
        (
            #"{"schema": {"fields": [{"name": "a", "type": "DATE"}, {"name": 5, "type": "DATE"}]}}"#,
            "schema.fields[1].name is not a string"
        ),
        (
            #"{"schema": {"fields": [{"name": "a", "type": "DATE", "mode": "OPTIONAL"}]}}"#,
            "schema.fields[0].mode: mode must be NULLABLE, REQUIRED or REPEATED"
        ),
        (
            #"{"schema": {"fields": [{"name": "a", "type": "DATE"}]}, "clustering": {"fields": "a"}}"#,
            "clustering.fields is not a list"
        ),
        (
            #"{"schema": {"fields": [{"name": "a", "type": "DATE"}]}, "requirePartitionFilter": "yes"}"#,
            "requirePartitionFilter is not a boolean"
        ),
    ])
    func saysWhereAFileIsWrong(_ text: String, _ reason: String) throws {
        try write("organization/t.json", text)

        #expect(problems() == ["organization/t.json: \(reason)"])
    }

    @Test func namesEveryProblemOfEveryFileAndFolderAtOnce() throws {
        try write("organizations/one.json", "{")
        try write("organizations/three.json", good)
        try write("organizations/two.json", #"{"schema": {"fields": [{"name": "a.b", "type": "TEXT"}]}}"#)
        try FileManager.default.createDirectory(
            atPath: folder.file("organization"), withIntermediateDirectories: false)

        let found = problems([.organizations, .organization, .operations])

        #expect(
            found.sorted() == [
                "operations: no such folder, or it cannot be read",
                "organization: no .json file in it",
                "organizations/one.json: not valid JSON",
                "organizations/two.json: field a.b: a name cannot have the character .",
                "organizations/two.json: field a.b: unknown type TEXT",
            ])
    }

    @Test func namesAFileThatCannotBeRead() throws {
        try write("organization/a.json", good)
        try FileManager.default.createDirectory(
            atPath: folder.file("organization/b.json"), withIntermediateDirectories: false)

        #expect(problems() == ["organization/b.json: cannot be read"])
    }

    @Test func acceptsATableAsBqShowPrintsIt() throws {
        try write(
            "organization/plans.json",
            """
            {
              "clustering": {"fields": ["provider"]}, "creationTime": "1690000000000", "etag": "hT6Q==",
              "description": "Plans.", "id": "p:acme_prod.plans", "kind": "bigquery#table",
              "labels": {"team": "finops"}, "lastModifiedTime": "1690000000001", "location": "US",
              "numActiveLogicalBytes": "0", "numBytes": "0", "numLongTermBytes": "0", "numRows": "0",
              "numTotalLogicalBytes": "0", "requirePartitionFilter": false,
              "schema": {"fields": [
                {"mode": "REQUIRED", "name": "provider", "type": "STRING", "maxLength": "20"},
                {"name": "day", "type": "DATE", "description": "Of use."},
                {"fields": [{"name": "b", "type": "INTEGER"}], "mode": "REPEATED", "name": "r", "type": "RECORD"}]},
              "selfLink": "https://bigquery.googleapis.com/bigquery/v2/projects/p/datasets/acme_prod/tables/plans",
              "tableReference": {"datasetId": "acme_prod", "projectId": "p", "tableId": "plans"},
              "timePartitioning": {"expirationMs": "5184000000", "field": "day", "type": "DAY"},
              "type": "TABLE"
            }
            """)

        let table = try #require(Catalog(directory: folder.path, [.organization]).tables(.organization).first)

        #expect(table.name == "plans")
        #expect(table.table.etag == nil)
        #expect(table.table.type == nil)
        #expect(
            table.table.timePartitioning
                == Table.TimePartitioning(type: "DAY", field: "day", expirationMs: "5184000000"))
        #expect(table.table.clustering?.fields == ["provider"])
        #expect(table.table.labels == ["team": "finops"])
        #expect(table.table.schema.fields.map(\.sqlType) == ["STRING(20)", "DATE", "ARRAY<STRUCT<b INT64>>"])
    }
}
