import HTTPTransport
import JobRuntime
import Synchronization
import TestSupport
import Testing

@testable import SchemaKit
@testable import Warehouse
@testable import WarehouseKit

@Suite struct SchemaApplierTests {
    static let wanted = NamedTable(
        "plans", Table(fields: [FieldSchema("a", "STRING"), FieldSchema("b", "INT64", mode: .required)]))
    static let dataset = Dataset(id: DatasetID("acme_test")!, location: "US")

    func plan(etag: String = "stale") -> SchemaPlan {
        var plan = SchemaPlan(dataset: Self.dataset)
        let diff = SchemaDiff(expected: Self.wanted.table, actual: Table(fields: [FieldSchema("a", "STRING")]))
        plan.additions = [TableAddition(table: Self.wanted, diff: diff, etag: etag)]
        return plan
    }

    func apply(
        _ plan: SchemaPlan, _ policy: SchemaPolicy = .everything(byScript: false), replies: [ScriptedReply]
    ) async -> (fixture: BigQueryFixture?, changes: SchemaChanges, error: WarehouseError?) {
        let recorded = Mutex(SchemaChanges())
        guard let fixture = try? BigQueryFixture(replies) else { return (nil, SchemaChanges(), nil) }
        let applier = SchemaApplier(warehouse: fixture.warehouse, policy: policy) { step in
            recorded.withLock { $0.add(step) }
        }
        let error = await fixture.failure { _ in try await applier.apply(plan) }
        return (fixture, recorded.withLock { $0 }, error)
    }

    static func table(_ columns: [String], etag: String, more: String = "") -> ScriptedReply {
        let fields = columns.map { #"{"name": "\#($0)", "type": "STRING"}"# }.joined(separator: ",") + more
        return .json(#"{"etag": "\#(etag)", "type": "TABLE", "schema": {"fields": [\#(fields)]}}"#)
    }

    @Test func readsAgainWhenTheTableChanged() async throws {
        let (fixture, changes, error) = await apply(
            plan(),
            replies: [
                .refusal(412, "conditionNotMet"), Self.table(["a", "own"], etag: "fresh"), .json("{}"),
            ])

        let requests = try #require(fixture).server.requests
        #expect(error == nil)
        #expect(requests.map(\.method) == ["PATCH", "GET", "PATCH"])
        #expect(requests[0].headers["If-Match"] == "stale")
        #expect(requests[2].headers["If-Match"] == "fresh")
        let names = requests[2].jsonBody["schema"]?["fields"]?.array?.compactMap { $0["name"]?.string }
        #expect(names == ["a", "own", "b"])
        #expect(
            changes == SchemaChanges(tablesUpdated: 1, columnsAdded: 1, relaxed: ["acme_test.plans.b"]))
        #expect(fixture?.server.unexpected == [])
    }

    @Test func isDoneWhenSomebodyElseAddedTheColumns() async {
        let (fixture, changes, error) = await apply(
            plan(), replies: [.refusal(412, "conditionNotMet"), Self.table(["a", "B"], etag: "fresh")])

        #expect(error == nil)
        #expect(fixture?.server.requests.count == 2)
        // A STRING is not the INT64 that is wanted: that shows only now.
        #expect(changes.conflicts.map(\.description) == ["plans: B is STRING, the catalog says INT64"])
        #expect(changes.columnsAdded == 0)
    }

    @Test func givesUpOnATableThatKeepsChanging() async {
        var replies: [ScriptedReply] = [.refusal(412, "conditionNotMet")]
        for round in 1...5 { replies += [Self.table(["a"], etag: "\(round)"), .refusal(412, "conditionNotMet")] }

        let (fixture, changes, error) = await apply(plan(), replies: replies)

        #expect(error?.code == .preconditionFailed)
        #expect(error?.message.contains("somebody else keeps changing it") == true)
        #expect(fixture?.server.requests.count == 11)
        #expect(changes == SchemaChanges())
        #expect(fixture?.server.unexpected == [])
    }

    @Test func tellsAConflictOnceHoweverOftenItReads() async {
        let other = #"{"etag": "x", "schema": {"fields": [{"name": "a", "type": "INTEGER"}]}}"#

        let (_, changes, error) = await apply(
            plan(),
            replies: [
                .refusal(412, "conditionNotMet"), .json(other), .refusal(412, "conditionNotMet"), .json(other),
                .json("{}"),
            ])

        #expect(error == nil)
        #expect(changes.conflicts.count == 1)
        #expect(changes.columnsAdded == 1)
    }

    @Test func addsColumnsToATableThatWasThereAfterAll() async {
        var plan = SchemaPlan(dataset: Self.dataset)
        plan.newTables = [Self.wanted]

        let (fixture, changes, error) = await apply(
            plan, replies: [.refusal(409, "duplicate"), Self.table(["a"], etag: "1"), .json("{}")])

        #expect(error == nil)
        #expect(fixture?.server.requests.map(\.method) == ["POST", "GET", "PATCH"])
        #expect(changes.tablesCreated == 0)
        #expect(changes.columnsAdded == 1)
    }

    @Test func leavesATableThatWasThereAfterAllWhenItMayOnlyCreate() async {
        var plan = SchemaPlan(dataset: Self.dataset)
        plan.newTables = [Self.wanted]

        let (fixture, changes, error) = await apply(
            plan, .create, replies: [.refusal(409, "duplicate"), Self.table(["a"], etag: "1")])

        #expect(error == nil)
        #expect(fixture?.server.requests.map(\.method) == ["POST", "GET"])
        #expect(changes.leftOut.map(\.diff.additions) == [["b"]])
        #expect(changes.tablesCreated == 0 && changes.columnsAdded == 0)
    }

    @Test func doesNotCallATableDoneThatVanished() async {
        var plan = SchemaPlan(dataset: Self.dataset)
        plan.newTables = [Self.wanted]

        let (_, _, error) = await apply(plan, replies: [.refusal(409, "duplicate"), .refusal(404, "notFound")])

        #expect(error?.code == .preconditionFailed)
    }

    @Test func saysWhereADatasetIsThatIsElsewhere() async {
        var plan = SchemaPlan(dataset: Self.dataset)
        plan.createsDataset = true
        plan.newTables = [Self.wanted]

        let (fixture, _, error) = await apply(
            plan,
            replies: [
                .refusal(409, "duplicate"),
                .json(#"{"datasetReference": {"datasetId": "acme_test"}, "location": "EU"}"#),
            ])

        #expect(error?.code == .invalid)
        #expect(error?.description.contains("it is in EU, not in US; set BIGQUERY_LOCATION") == true)
        #expect(fixture?.server.requests.count == 2)
    }
}
