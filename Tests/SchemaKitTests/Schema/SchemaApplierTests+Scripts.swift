import BigQueryWarehouse
import Foundation
import JobRuntime
import Synchronization
import TestSupport
import Testing

@testable import SchemaKit
@testable import Warehouse
@testable import WarehouseKit

extension SchemaApplierTests {
    @Test func usesNoScriptInADatasetThatWasThereAfterAll() async {
        var plan = SchemaPlan(dataset: Self.dataset)
        plan.createsDataset = true
        plan.newTables = [Self.wanted, NamedTable("other", Self.wanted.table)]
        let fixture = try? BigQueryFixture { request in
            switch (request.method, request.path.split(separator: "/").last) {
            case ("POST", "datasets"): .refusal(409, "duplicate")
            case ("GET", "acme_test"):
                .json(#"{"datasetReference": {"datasetId": "acme_test"}, "location": "us"}"#)
            case ("POST", "tables"): .refusal(409, "duplicate")
            case ("GET", "tables"):
                .json(
                    #"{"tables": [{"tableReference": {"tableId": "plans"}}, {"tableReference": {"tableId": "other"}}]}"#
                )
            case ("GET", _): Self.table(["a"], etag: "1")
            case ("PATCH", _): .json("{}")
            default: .refusal(400, "invalid")
            }
        }
        let recorded = Mutex(SchemaChanges())

        let error = await fixture?.failure { warehouse in
            try await SchemaApplier(warehouse: warehouse, policy: .everything(byScript: true)) { step in
                recorded.withLock { $0.add(step) }
            }.apply(plan)
        }

        #expect(error == nil)
        #expect(recorded.withLock { $0.tablesUpdated } == 2)
        #expect(recorded.withLock { $0.tablesCreated } == 0)
    }

    @Test func createsManyTablesOfANewDatasetByOneScript() async throws {
        var plan = SchemaPlan(dataset: Self.dataset)
        plan.createsDataset = true
        plan.newTables = [Self.wanted, NamedTable("other", Self.wanted.table)]

        let (fixture, changes, error) = await apply(
            plan, .everything(byScript: true), replies: [.json("{}"), .json(#"{"jobComplete": true, "schema": {}}"#)])

        let script = try #require(fixture).server.requests[1].jsonBody["query"]?.string
        #expect(error == nil)
        #expect(script?.contains("CREATE TABLE IF NOT EXISTS `acme_test.plans`") == true)
        #expect(script?.contains("CREATE TABLE IF NOT EXISTS `acme_test.other`") == true)
        #expect(changes == SchemaChanges(datasetsCreated: 1, tablesCreated: 2))
    }

    @Test func countsWhatAScriptDidThatFailedInTheMiddle() async {
        var plan = SchemaPlan(dataset: Self.dataset)
        plan.createsDataset = true
        plan.newTables = [Self.wanted, NamedTable("other", Self.wanted.table)]

        let (fixture, changes, error) = await apply(
            plan, .everything(byScript: true),
            replies: [
                .json("{}"), .refusal(400, "invalidQuery", "the second one is wrong"),
                .json(#"{"tables": [{"tableReference": {"tableId": "plans"}}]}"#),
            ])

        #expect(error?.message == "the second one is wrong")
        #expect(changes == SchemaChanges(datasetsCreated: 1, tablesCreated: 1))
        #expect(fixture?.server.unexpected == [])
    }

    @Test func runsAScriptAgainThatLostARace() async {
        var plan = SchemaPlan(dataset: Self.dataset)
        plan.createsDataset = true
        plan.newTables = [Self.wanted, NamedTable("other", Self.wanted.table)]

        let (fixture, changes, error) = await apply(
            plan, .everything(byScript: true),
            replies: [
                .json("{}"), .refusal(409, "duplicate", "Already Exists: Table p:acme_test.plans"),
                .json(#"{"jobComplete": true, "schema": {}}"#),
            ])

        #expect(error == nil)
        #expect(fixture?.server.requests.count == 3)
        #expect(changes.tablesCreated == 2)
    }

    @Test func cutsALongScript() async throws {
        let fixture = try BigQueryFixture { _ in .json(#"{"jobComplete": true, "schema": {}}"#) }
        let long = Table(description: String(repeating: "x", count: 200_000), fields: Self.wanted.table.schema.fields)

        try await fixture.warehouse.createTables((1...5).map { NamedTable("t\($0)", long) }, in: Self.dataset.id)

        let scripts = fixture.server.requests.compactMap { $0.jsonBody["query"]?.string }
        #expect(scripts.map { $0.components(separatedBy: "CREATE TABLE").count - 1 } == [2, 2, 1])
    }
}
