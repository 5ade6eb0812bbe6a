import Foundation
import HTTPTransport
import JobRuntime
import Synchronization
import TestSupport
import Testing

@testable import BigQueryWarehouse
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
        let refusals = Mutex<[SchemaApplier.Refusal]>([])
        let error = await fixture.failure { _ in
            let refused = try await applier.apply(plan)
            refusals.withLock { $0 = refused }
        }
        return (fixture, recorded.withLock { $0 }, error ?? refusals.withLock { $0.first?.error })
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
        #expect(changes.differences.map(\.description) == ["plans: B is STRING, the catalog says INT64"])
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
        #expect(changes.differences.count == 1)
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
        #expect(error?.description.contains("it is in EU, not in US") == true)
        #expect(fixture?.server.requests.count == 2)
    }

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
            let applier = SchemaApplier(warehouse: warehouse, policy: .everything(byScript: true)) { step in
                recorded.withLock { $0.add(step) }
            }
            let refused = try await applier.apply(plan)
            #expect(refused.isEmpty)
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

        try await fixture.warehouse.createTables(
            (1...5).map { NamedTable("t\($0)", long) }, in: Self.dataset.id, at: "US")

        let scripts = fixture.server.requests.compactMap { $0.jsonBody["query"]?.string }
        #expect(scripts.map { $0.components(separatedBy: "CREATE TABLE").count - 1 } == [2, 2, 1])
    }

    /// Two tables whose statements have just as many characters as a script may have, or one more; and one that has more alone.
    @Test(arguments: [
        ([250_000, 250_000], [2]), ([250_000, 250_001], [1, 1]), ([250_001, 250_000, 250_000], [1, 2]),
        ([600_000, 1_000], [1, 1]), ([1_000, 600_000, 1_000], [1, 1, 1]),
    ])
    func aScriptIsCutWhereTheNextTableWouldBeTooMuch(sizes: [Int], tablesPerScript: [Int]) async throws {
        let fixture = try BigQueryFixture { _ in .json(#"{"jobComplete": true, "schema": {}}"#) }
        let tables = try sizes.enumerated().map { index, size in
            var table = NamedTable("t\(index)", Table(description: "x", fields: Self.wanted.table.schema.fields))
            let reference = try #require(TableReference(Self.dataset.id, table.name))
            let shortest = TableDDL.statement(reference, table.table).utf8.count
            table.table.description = String(repeating: "x", count: size - shortest + 1)
            #expect(TableDDL.statement(reference, table.table).utf8.count == size)
            return table
        }

        try await fixture.warehouse.createTables(tables, in: Self.dataset.id, at: "US")

        let scripts = fixture.server.requests.compactMap { $0.jsonBody["query"]?.string }
        #expect(BigQueryWarehouse.charactersPerScript == 500_000)
        #expect(scripts.map { $0.components(separatedBy: "CREATE TABLE").count - 1 } == tablesPerScript)
        let created = scripts.joined().matches(of: /`acme_test\.(t\d)`/).map { String($0.1) }
        #expect(created == tables.map(\.name))
    }

    // Replies that are lost, and missing permissions.

    @Test func countsColumnsThatWereAddedByARequestWhoseReplyWasLost() async {
        let there = Self.table(["a"], etag: "2", more: #", {"name": "b", "type": "INTEGER"}"#)

        let (fixture, changes, error) = await apply(
            plan(), replies: [.closeWithoutReply, .refusal(412, "conditionNotMet"), there])

        #expect(error == nil)
        #expect(changes == SchemaChanges(tablesUpdated: 1, columnsAdded: 1, relaxed: ["acme_test.plans.b"]))
        #expect(fixture?.server.unexpected == [])
    }

    @Test func addsColumnsWhereTheLostRequestDidNot() async {
        let (fixture, changes, error) = await apply(
            plan(),
            replies: [
                .refusal(503, "backendError"), .refusal(412, "conditionNotMet"), Self.table(["a"], etag: "2"),
                Self.table(["a"], etag: "2"), .json("{}"),
            ])

        #expect(error == nil)
        #expect(changes.columnsAdded == 1)
        #expect(fixture?.server.requests.last?.headers["If-Match"] == "2")
        #expect(fixture?.server.unexpected == [])
    }

    @Test func countsATableThatWasCreatedByARequestWhoseReplyWasLost() async {
        var plan = SchemaPlan(dataset: Self.dataset)
        plan.newTables = [Self.wanted]
        let there = Self.table(["a"], etag: "1", more: #", {"name": "b", "type": "INTEGER", "mode": "REQUIRED"}"#)

        let (fixture, changes, error) = await apply(
            plan, replies: [.reset, .refusal(409, "duplicate"), there])

        #expect(error == nil)
        #expect(changes == SchemaChanges(tablesCreated: 1))
        #expect(fixture?.server.unexpected == [])
    }

    /// It was there before: that the request may have been carried out is no reason to leave out its columns.
    @Test func completesATableThatTheLostRequestDidNotCreate() async {
        var plan = SchemaPlan(dataset: Self.dataset)
        plan.newTables = [Self.wanted]

        let (_, changes, error) = await apply(
            plan,
            replies: [
                .reset, .refusal(409, "duplicate"), Self.table(["a"], etag: "1"), Self.table(["a"], etag: "1"),
                .json("{}"),
            ])

        #expect(error == nil)
        #expect(changes.tablesCreated == 0)
        #expect(changes.columnsAdded == 1)
    }

    @Test(arguments: [true, false])
    func countsADatasetThatWasCreatedByARequestWhoseReplyWasLost(isEmpty: Bool) async {
        var plan = SchemaPlan(dataset: Self.dataset)
        plan.createsDataset = true
        let there = ScriptedReply.json(#"{"datasetReference": {"datasetId": "acme_test"}, "location": "us"}"#)
        let tables = #"{"tables": [{"tableReference": {"tableId": "own"}}]}"#

        let (fixture, changes, error) = await apply(
            plan,
            replies: [.reset, .refusal(409, "duplicate"), there, .json(isEmpty ? "{}" : tables)]
                + (isEmpty ? [] : [there]))

        #expect(error == nil)
        #expect(changes.datasetsCreated == (isEmpty ? 1 : 0))
        #expect(fixture?.server.unexpected == [])
    }

    @Test func usesADatasetThatItMayNotCreateAndThatIsThere() async {
        var plan = SchemaPlan(dataset: Self.dataset)
        plan.createsDataset = true

        let (fixture, changes, error) = await apply(
            plan,
            replies: [
                .refusal(403, "accessDenied"),
                .json(#"{"datasetReference": {"datasetId": "acme_test"}, "location": "US"}"#),
            ])

        #expect(error == nil)
        #expect(changes == SchemaChanges())
        #expect(fixture?.server.requests.map(\.method) == ["POST", "GET"])
        #expect(fixture?.server.requests.last?.path.hasSuffix("/datasets/acme_test") == true)
    }

    @Test func saysHowToGetADatasetThatItMayNotCreate() async {
        var plan = SchemaPlan(dataset: Self.dataset)
        plan.createsDataset = true

        let (_, _, error) = await apply(plan, replies: [.refusal(403, "accessDenied"), .refusal(404, "notFound")])

        #expect(error?.code == .accessDenied)
        #expect(error?.endsRun == true)
        #expect(
            error?.description.hasSuffix("run create-all-jobs.sh, which creates it, or grant bigquery.datasets.create")
                == true)
    }
}
