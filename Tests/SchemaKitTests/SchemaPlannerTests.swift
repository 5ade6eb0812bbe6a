import TestSupport
import Testing

@testable import SchemaKit
@testable import Warehouse
@testable import WarehouseKit

@Suite struct SchemaPlannerTests {
    private let tables = ["a", "b", "c"].map { NamedTable($0, Table(fields: [FieldSchema("x", "STRING")])) }
    private let dataset = Dataset(id: DatasetID("acme_test")!, location: "EU")

    @Test func aMissingDatasetIsCreatedWithAllTables() async throws {
        let fixture = try BigQueryFixture([])

        let plan = try await SchemaPlanner(warehouse: fixture.warehouse, tables: tables)
            .plan(for: dataset, finding: DatasetFinding(datasetExists: false))

        #expect(plan.createsDataset)
        #expect(plan.newTables == tables)
        #expect(
            plan.lines == [
                "+ acme_test: would create dataset in EU", "+ acme_test.a: would create table, 1 column",
                "+ acme_test.b: would create table, 1 column", "+ acme_test.c: would create table, 1 column",
            ])
        #expect(plan.changes == SchemaChanges(datasetsCreated: 1, tablesCreated: 3))
        #expect(fixture.server.requests.isEmpty)
    }

    private static func list(_ names: String...) -> ScriptedReply {
        let items = names.map { #"{"tableReference": {"tableId": "\#($0)"}}"# }
        return .json(#"{"tables": [\#(items.joined(separator: ","))]}"#)
    }

    /// The views show a table a while after its creation.
    @Test func aTableThatTheDatasetListsIsReadAndNotPlannedAsMissing() async throws {
        let complete = ScriptedReply.json(
            #"{"etag": "1", "type": "TABLE", "schema": {"fields": [{"name": "x", "type": "STRING"}]}}"#)
        let fixture = try BigQueryFixture([Self.list("a", "c"), complete, complete])

        let plan = try await SchemaPlanner(warehouse: fixture.warehouse, tables: tables)
            .plan(for: dataset, finding: DatasetFinding(absent: ["a", "b", "c"]))

        #expect(plan.newTables.map(\.name) == ["b"])
        #expect(plan.additions.isEmpty && plan.differences.isEmpty)
    }

    @Test func readsOnlyTablesThatSeemToDiffer() async throws {
        let fixture = try BigQueryFixture([
            Self.list("b", "c"),
            .json(
                #"{"etag": "e1", "type": "TABLE", "schema": {"fields": [{"name": "y", "type": "STRING"}]}, "clustering": {"fields": ["y"]}}"#
            ),
            .refusal(404, "notFound"),
        ])
        let finding = DatasetFinding(absent: ["a"], differing: ["b", "c"])

        let plan = try await SchemaPlanner(warehouse: fixture.warehouse, tables: tables)
            .plan(for: dataset, finding: finding)

        #expect(plan.newTables.map(\.name) == ["a", "c"])
        #expect(plan.additions.map(\.etag) == ["e1"])
        #expect(
            plan.lines == [
                "+ acme_test.a: would create table, 1 column", "+ acme_test.c: would create table, 1 column",
                "+ acme_test.b: would add x", "! acme_test.b: clustering is y, the catalog says none",
            ])
        #expect(fixture.server.requests.map(\.path).allSatisfy { $0.hasPrefix("\(BigQueryFixture.path)/datasets/") })
        #expect(fixture.server.unexpected == [])
    }

    @Test func plansNothingForAFalseAlarm() async throws {
        let fixture = try BigQueryFixture([
            .json(#"{"etag": "e1", "schema": {"fields": [{"name": "X", "type": "string"}]}}"#)
        ])
        let finding = DatasetFinding(differing: ["b"])

        let plan = try await SchemaPlanner(warehouse: fixture.warehouse, tables: tables)
            .plan(for: dataset, finding: finding)

        #expect(plan == SchemaPlan(dataset: dataset))
        #expect(plan.lines.isEmpty)
    }
}
