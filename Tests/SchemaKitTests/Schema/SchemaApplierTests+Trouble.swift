import HTTPTransport
import TestSupport
import Testing

@testable import SchemaKit
@testable import Warehouse
@testable import WarehouseKit

/// Replies that are lost, and what an account may not do.
extension SchemaApplierTests {
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

        let (_, changes, error) = await apply(
            plan,
            replies: [
                .refusal(403, "accessDenied"),
                .json(#"{"datasetReference": {"datasetId": "acme_test"}, "location": "US"}"#),
            ])

        #expect(error == nil)
        #expect(changes == SchemaChanges())
    }

    @Test func saysWhoMakesADatasetThatItMayNotCreate() async {
        var plan = SchemaPlan(dataset: Self.dataset)
        plan.createsDataset = true

        let (_, _, error) = await apply(plan, replies: [.refusal(403, "accessDenied"), .refusal(404, "notFound")])

        #expect(error?.code == .accessDenied)
        #expect(error?.endsRun == true)
        #expect(
            error?.description.hasSuffix("run create-all-jobs.sh, which makes it, or grant bigquery.datasets.create")
                == true)
    }
}
