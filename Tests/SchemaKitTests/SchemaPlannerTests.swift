import TestSupport
import Testing

@testable import SchemaKit
@testable import Warehouse
@testable import WarehouseKit

@Suite struct SchemaPlannerTests {
    private let tables = ["a", "b", "c"].map { NamedTable($0, Table(fields: [FieldSchema("x", "STRING")])) }
    private let dataset = Dataset(id: DatasetID("acme_test")!, location: "EU")

    @Test func aDryRunReadsTheDatasetBeforeItPlansToCreateIt() async throws {
        let fixture = try BigQueryFixture([.refusal(404, "notFound", "Not found: Dataset acme-test-1:acme_test")])
        let finding = SchemaSurvey.Finding(datasetExists: false, absent: [], differing: [])

        let plan = try await SchemaPlanner(warehouse: fixture.warehouse, tables: tables)
            .plan(for: dataset, finding: finding, isDryRun: true)

        #expect(plan.createsDataset)
        #expect(plan.newTables == tables)
        #expect(
            plan.lines == [
                "+ acme_test: would create dataset in EU", "+ acme_test.a: would create table, 1 column",
                "+ acme_test.b: would create table, 1 column", "+ acme_test.c: would create table, 1 column",
            ])
        #expect(plan.changes == SchemaChanges(datasetsCreated: 1, tablesCreated: 3))
        #expect(fixture.server.requests.map(\.path) == ["\(BigQueryFixture.path)/datasets/acme_test"])
    }

    private static func dataset(in location: String) -> ScriptedReply {
        .json(#"{"datasetReference": {"datasetId": "acme_test"}, "location": "\#(location)"}"#)
    }

    /// A dataset cannot be moved, so a plan that would create another one in its place is an error, also in a dry run.
    @Test func aDatasetThatLiesElsewhereIsNotPlannedAsMissing() async throws {
        let fixture = try BigQueryFixture([Self.dataset(in: "US")])
        let finding = SchemaSurvey.Finding(datasetExists: false, absent: [], differing: [])

        let error = await fixture.failure { warehouse in
            _ = try await SchemaPlanner(warehouse: warehouse, tables: tables).plan(
                for: dataset, finding: finding, isDryRun: true)
        }

        #expect(error?.description.contains("it is in US, not in EU") == true)
        #expect(error?.description.contains("org_dataset_id") == true)
    }

    @Test func aDatasetThatTheSurveyDoesNotShowIsComparedTableByTable() async throws {
        let complete = ScriptedReply.json(
            #"{"etag": "1", "type": "TABLE", "schema": {"fields": [{"name": "x", "type": "STRING"}]}}"#)
        let fixture = try BigQueryFixture([Self.dataset(in: "EU"), complete, .refusal(404, "notFound"), complete])
        let finding = SchemaSurvey.Finding(datasetExists: false, absent: [], differing: [])

        let plan = try await SchemaPlanner(warehouse: fixture.warehouse, tables: tables)
            .plan(for: dataset, finding: finding, isDryRun: true)

        #expect(!plan.createsDataset)
        #expect(plan.newTables.map(\.name) == ["b"])
        #expect(plan.additions.isEmpty && plan.conflicts.isEmpty)
    }

    @Test func readsOnlyTablesThatSeemToDiffer() async throws {
        let fixture = try BigQueryFixture([
            .json(
                #"{"etag": "e1", "type": "TABLE", "schema": {"fields": [{"name": "y", "type": "STRING"}]}, "clustering": {"fields": ["y"]}}"#
            ),
            .refusal(404, "notFound"),
        ])
        let finding = SchemaSurvey.Finding(datasetExists: true, absent: ["a"], differing: ["b", "c"])

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
        let finding = SchemaSurvey.Finding(datasetExists: true, absent: [], differing: ["b"])

        let plan = try await SchemaPlanner(warehouse: fixture.warehouse, tables: tables)
            .plan(for: dataset, finding: finding)

        #expect(plan == SchemaPlan(dataset: dataset))
        #expect(plan.lines.isEmpty)
    }
}
