import BigQueryWarehouse
import HTTPTransport
import JobRuntime
import TestSupport
import Testing
import Warehouse

/// BigQuery does not find at once what was just created, and sometimes it does not find a dataset that is there.
@Suite struct NewResourceTests {
    private static let dataset = Dataset(id: DatasetID("acme_prod")!, location: "US")
    private static let reference = TableReference(DatasetID("acme_prod")!, "t")!
    private static let table = NamedTable("t", Table(fields: [FieldSchema("x", "STRING")]))
    private static let created = ScriptedReply.json(
        #"{"datasetReference": {"datasetId": "acme_prod"}, "location": "US"}"#)
    private static let noDataset = ScriptedReply.refusal(
        404, "notFound", "Not found: Dataset acme-test-1:acme_prod was not found in location US at [1:1]")
    private static let noTable = ScriptedReply.refusal(404, "notFound", "Not found: Table acme-test-1:acme_prod.t")
    private static let done = ScriptedReply.json(#"{"jobComplete": true, "schema": {}}"#)

    private typealias Work = @Sendable (BigQueryWarehouse) async throws -> Void

    private static let insert: Work = { _ = try await $0.createTable(reference, table.table) }
    private static let script: Work = { try await $0.createTables([table], in: dataset.id, at: "US") }
    private static let patch: Work = {
        try await $0.updateSchema(of: reference, to: table.table.schema.fields, ifMatch: "e")
    }
    private static let query: Work = {
        _ = try await $0.query(Statement("write the history", "INSERT INTO `acme_prod.t` (x) VALUES (1)"))
    }

    @Test(arguments: [("insert", insert), ("script", script), ("patch", patch), ("query", query)])
    private func waitsForADatasetThatThisRunCreated(_ name: String, _ work: @escaping Work) async throws {
        let reply = name == "insert" || name == "patch" ? ScriptedReply.json("{}") : Self.done
        let fixture = try BigQueryFixture([Self.created, Self.noDataset, Self.noDataset, Self.noDataset, reply])

        #expect(try await fixture.warehouse.createDataset(Self.dataset))
        let error = await fixture.failure(work)

        #expect(error == nil)
        #expect(fixture.clock.sleeps.count == 3)
    }

    @Test func waitsForATableThatThisRunCreated() async throws {
        let fixture = try BigQueryFixture([.json("{}"), Self.noTable, .json("{}"), Self.noTable, Self.done])

        #expect(try await fixture.warehouse.createTable(Self.reference, Self.table.table))
        let patched = await fixture.failure(Self.patch)
        let queried = await fixture.failure(Self.query)

        #expect(patched == nil)
        #expect(queried == nil)
    }

    @Test func waitsForAMinuteAndNoLonger() async throws {
        let fixture = try BigQueryFixture { $0.index == 0 ? Self.created : Self.noDataset }

        #expect(try await fixture.warehouse.createDataset(Self.dataset))
        let error = await fixture.failure(Self.insert)

        #expect(error?.code == .notFound)
        let waited = fixture.clock.sleeps.reduce(Duration.zero, +)
        #expect(waited > .seconds(10) && waited <= .seconds(60))
    }

    @Test(arguments: [("insert", insert), ("script", script), ("patch", patch)])
    private func doesNotWaitForADatasetOfOthers(_ name: String, _ work: @escaping Work) async throws {
        let fixture = try BigQueryFixture([Self.noDataset])

        let error = await fixture.failure(work)

        #expect(error?.code == .notFound)
        #expect(fixture.server.requests.count == 1)
    }

    @Test func asksOnceMoreForADatasetThatAStatementDoesNotFind() async throws {
        let passing = try BigQueryFixture([Self.noDataset, Self.done])
        let missing = try BigQueryFixture([Self.noDataset, Self.noDataset])

        #expect(await passing.failure(Self.query) == nil)
        let requests = passing.server.requests
        #expect(requests[0].jsonBody["requestId"] != requests[1].jsonBody["requestId"])
        #expect(await missing.failure(Self.query)?.code == .notFound)
        #expect(missing.server.requests.count == 2)
    }

    @Test func aTableThatIsMissingIsAskedForOnce() async throws {
        let fixture = try BigQueryFixture([Self.noTable])

        #expect(await fixture.failure(Self.query)?.code == .notFound)
        #expect(fixture.server.requests.count == 1)
    }
}
