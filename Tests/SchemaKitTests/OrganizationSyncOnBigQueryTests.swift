import BigQueryWarehouse
import Foundation
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
        try await bigQuery.warehouse.createTables(tables, in: other, at: "US")

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
    @Test func aTableThatAScriptIsRefusedForKeepsNoOtherFromItsTurn() async throws {
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
        let refused = try await applier.apply(plan)
        let first = recorded.withLock { $0 }
        plan.newTables[1].table = table
        let refusedAfterwards = try await applier.apply(plan)

        #expect(refused.map(\.table) == ["two"])
        #expect(first == SchemaChanges(datasetsCreated: 1, tablesCreated: 2))
        #expect(refusedAfterwards.isEmpty)
        #expect(recorded.withLock { $0 } == SchemaChanges(datasetsCreated: 1, tablesCreated: 3))
        #expect(try await bigQuery.warehouse.tables(in: plan.dataset.id) == ["one", "three", "two"])
    }

    /// BigQuery takes 30 `tables.insert` at once; from 31 creations on, one script for each dataset creates them.
    @Test(arguments: [(1, 30, false), (1, 31, true), (15, 2, false), (16, 2, true)])
    func createsThirtyTablesByInsertAndMoreByScript(organizations: Int, tables: Int, isByScript: Bool) async throws {
        let bigQuery = try await EmulatedBigQuery(project: "sync-tests-\(organizations)-\(tables)")
        let fixture = try await OrganizationFixture(bigQuery.warehouse, (0..<organizations).map { .init("org_\($0)") })
        let file = Data(#"{"schema": {"fields": [{"name": "a", "type": "STRING"}]}}"#.utf8)
        let catalog = try Catalog([
            .organization: (1...tables).map { CatalogFile(name: "t\($0)", path: "t\($0).json", contents: file) }
        ])
        let insert = "POST /projects/*/datasets/*/tables"
        let before = try await bigQuery.requests(for: insert)

        let report = try await fixture.sync(catalog: catalog)

        let inserts = try await bigQuery.requests(for: insert)
        #expect(report.failures.isEmpty)
        #expect(report["tables_created"] == organizations * tables)
        #expect(inserts - before == (isByScript ? 0 : organizations * tables))
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
            try await bigQuery.warehouse.createTables(
                [short] + tables.filter { $0.name != short.name }, in: dataset, at: "US")
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

/// A refusal of BigQuery and the rest of the run.
@Suite struct OrganizationFailureTests {
    private static let slugs = (0..<5).map { "org_\($0)" }

    /// Five organizations; in each dataset the table `job_runs` seems to differ.
    private func fixture(_ table: @escaping @Sendable (ScriptedRequest) -> ScriptedReply) throws -> BigQueryFixture {
        try BigQueryFixture { request in
            guard request.path.hasSuffix("/queries") else { return table(request) }
            if request.jsonBody["query"]?.string?.contains("INFORMATION_SCHEMA") == true {
                let old = NamedTable("job_runs", Table(fields: [FieldSchema("other", "STRING")]))
                return SurveyAnswer(Self.slugs.map { .init($0, tables: [old]) }, wanted: ["job_runs"]).reply()
            }
            let names = ["slug", "named", "dataset", "owner", "is_valid", "is_reserved", "is_misnamed", "is_ambiguous"]
            return SurveyAnswer.reply(
                names.map { ($0, "STRING") } + [("organizations", "INTEGER")],
                [Array(repeating: .null(.string), count: 8) + [.string("\(Self.slugs.count)")]])
        }
    }

    private func sync(_ fixture: BigQueryFixture, _ report: ReportFixture) throws -> OrganizationSync {
        let file = CatalogFile(
            name: "job_runs", path: "job_runs.json",
            contents: Data(#"{"schema": {"fields": [{"name": "job", "type": "STRING"}]}}"#.utf8))
        return OrganizationSync(
            sql: fixture.warehouse, schema: fixture.warehouse, catalog: try Catalog([.organization: [file]]),
            environment: .test, report: report.report)
    }

    @Test func servesTheOthersWhereOneIsRefused() async throws {
        let report = ReportFixture()
        let fixture = try fixture { request in
            if request.path.contains("/org_3_test/") { return .refusal(403, "accessDenied", "not yours") }
            return request.method == "GET" ? .json(#"{"etag": "e", "schema": {"fields": []}}"#) : .json("{}")
        }

        try await sync(fixture, report).run()

        #expect(report.failures.map(\.subject) == ["org_3"])
        #expect(report.failures.first?.reason == "could not read table org_3_test.job_runs: not yours (accessDenied)")
        #expect(report["tables_updated"] == 4)
        #expect(report.output.contains("org_3         org_3_test  failed\n"))
    }

    @Test(arguments: ["quotaExceeded", "billingNotEnabled"])
    func endsWhereTheOthersWouldFailInTheSameWay(_ reason: String) async throws {
        let report = ReportFixture()
        let fixture = try fixture { _ in .refusal(403, reason) }

        let error = await #expect(throws: WarehouseError.self) { try await sync(fixture, report).run() }

        #expect(error?.code.rawValue == reason)
        #expect(report["tables_updated"] == 0)
    }

    @Test func leavesAtOnceWhenItIsCancelled() async throws {
        let report = ReportFixture()
        let (asked, ask) = AsyncStream<Void>.makeStream()
        let fixture = try fixture { _ in
            ask.yield()
            return .delayed(.seconds(3600), .json("{}"))
        }
        let sync = try sync(fixture, report)

        let run = Task { try await sync.run() }
        for await _ in asked { break }
        run.cancel()

        await #expect(throws: CancellationError.self) { try await run.value }
        #expect(report.failures.isEmpty)
    }
}
