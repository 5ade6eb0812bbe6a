import BigQueryWarehouse
import JobRuntime
import Synchronization
import TestSupport
import Testing

@testable import SchemaKit
@testable import Warehouse
@testable import WarehouseKit

/// The main job from end to end over BigQuery's API.
@Suite(.serialized) struct OrganizationSyncOnBigQueryTests {
    @Test func needsTwoRequestsHoweverManyOrganizationsAreInSync() async throws {
        let bigQuery = try await EmulatedBigQuery(project: "sync-tests-one")
        let fixture = try await OrganizationFixture(
            bigQuery.warehouse, (0..<4).map { .init("org_\($0)") } + [.init("a;drop"), .init("x", dataset: "own")])

        let first = try await fixture.sync()
        let before = try await bigQuery.requests
        let second = try await fixture.sync()

        #expect(first["tables_created"] == 5 * 19)
        #expect(first.failures.map(\.subject) == ["\"a;drop\""])
        #expect(second["in_sync"] == 5)
        #expect(try await bigQuery.requests - before == 2)
        #expect(try await bigQuery.warehouse.tables(in: #require(DatasetID("own"))).count == 19)
    }

    @Test func createsTheSameTablesByScriptAndByInsert() async throws {
        let bigQuery = try await EmulatedBigQuery(project: "sync-tests-two")
        let tables = try Catalog.embedded([.organization]).tables(.organization)
        let one = try #require(DatasetID("by_insert"))
        let other = try #require(DatasetID("by_script"))
        for id in [one, other] {
            _ = try await bigQuery.warehouse.createDataset(Dataset(id: id, location: "US"))
        }

        for table in tables {
            _ = try await bigQuery.warehouse.createTable(try #require(TableReference(one, table.name)), table.table)
        }
        try await bigQuery.warehouse.createTables(tables, in: other)

        for table in tables {
            for dataset in [one, other] {
                let actual = try await bigQuery.warehouse.table(#require(TableReference(dataset, table.name)))
                let diff = SchemaDiff(expected: table.table, actual: try #require(actual))
                #expect(diff.isConforming, "\(dataset).\(table.name): \(diff.conflicts) \(diff.additions)")
                #expect(actual?.description == table.table.description)
                #expect(actual?.schema.fields.map(\.description) == table.table.schema.fields.map(\.description))
                #expect(actual?.schema.fields.map(\.mode) == table.table.schema.fields.map(\.mode))
            }
        }
    }

    /// The second table cannot be clustered by a column that it does not have.
    @Test func countsWhatAScriptDidThatFailsInTheMiddleAndDoesTheRestTheNextTime() async throws {
        let bigQuery = try await EmulatedBigQuery(project: "sync-tests-four")
        let table = Table(fields: [FieldSchema("a", "STRING")])
        var wrong = table
        wrong.clustering = Table.Clustering(fields: ["b"])
        var plan = SchemaPlan(dataset: Dataset(id: try #require(DatasetID("half_done")), location: "US"))
        plan.createsDataset = true
        let recorded = Mutex(SchemaChanges())
        let applier = SchemaApplier(warehouse: bigQuery.warehouse, policy: .everything(byScript: true)) { step in
            recorded.withLock { $0.add(step) }
        }

        plan.newTables = [NamedTable("one", table), NamedTable("two", wrong), NamedTable("three", table)]
        await #expect(throws: WarehouseError.self) { try await applier.apply(plan) }
        let first = recorded.withLock { $0 }
        plan.newTables[1].table = table
        try await applier.apply(plan)

        #expect(first == SchemaChanges(datasetsCreated: 1, tablesCreated: 1))
        #expect(recorded.withLock { $0 } == SchemaChanges(datasetsCreated: 1, tablesCreated: 3))
        #expect(try await bigQuery.warehouse.tables(in: plan.dataset.id) == ["one", "three", "two"])
    }

    @Test func addsAColumnToEveryDatasetThatLacksIt() async throws {
        let bigQuery = try await EmulatedBigQuery(project: "sync-tests-three")
        let fixture = try await OrganizationFixture(bigQuery.warehouse, [.init("a"), .init("b")])
        let tables = try Catalog.embedded([.organization]).tables(.organization)
        var short = tables[3]
        let missing = short.table.schema.fields.removeLast()
        for name in ["a_test", "b_test"] {
            let dataset = try #require(DatasetID(name))
            _ = try await bigQuery.warehouse.createDataset(Dataset(id: dataset, location: "US"))
            try await bigQuery.warehouse.createTables([short] + tables.filter { $0.name != short.name }, in: dataset)
        }
        let before = try await bigQuery.requests

        let report = try await fixture.sync()

        #expect(report["columns_added"] == 2)
        #expect(report.failures.isEmpty)
        // The list of organizations, the comparison, and for each dataset a read and a write.
        #expect(try await bigQuery.requests - before == 6)
        let dataset = try #require(DatasetID("a_test"))
        let reference = try #require(TableReference(dataset, short.name))
        #expect(try await bigQuery.warehouse.table(reference)?.schema.fields.last?.name == missing.name)
    }
}
