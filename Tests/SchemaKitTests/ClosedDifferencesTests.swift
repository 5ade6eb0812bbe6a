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

/// Differences that `--apply` closes, while others change the table too.
extension SchemaApplierTests {
    private func closing(_ replies: [ScriptedReply]) async -> (
        requests: [ScriptedRequest], SchemaChanges, WarehouseError?
    ) {
        var wanted = Self.wanted
        wanted.table.clustering = .init(fields: ["a"])
        let recorded = Mutex(SchemaChanges())
        guard let fixture = try? BigQueryFixture(replies) else { return ([], SchemaChanges(), nil) }
        let error = await fixture.failure { warehouse in
            let planner = SchemaPlanner(warehouse: warehouse, tables: [wanted], applied: [.clustering])
            var plan = SchemaPlan(dataset: Self.dataset)
            try await planner.add(wanted, to: &plan)
            let applier = SchemaApplier(
                warehouse: warehouse, policy: .everything(byScript: false), applied: [.clustering]
            ) { step in recorded.withLock { $0.add(step) } }
            for refusal in try await applier.apply(plan) { throw refusal.error }
        }
        return (fixture.server.requests, recorded.withLock { $0 }, error)
    }

    private static func complete(etag: String, more: String = "") -> ScriptedReply {
        .json(
            #"{"etag": "\#(etag)", "type": "TABLE"\#(more), "schema": {"fields": [{"name": "a", "type": "STRING"}, {"name": "b", "type": "INTEGER"}]}}"#
        )
    }

    @Test func closesADifferenceInTheVersionThatWasReadLast() async {
        let (requests, changes, error) = await closing([
            Self.complete(etag: "1"), .refusal(412, "conditionNotMet"), Self.complete(etag: "2"), .json("{}"),
        ])

        #expect(error == nil)
        #expect(requests.map(\.method) == ["GET", "PATCH", "GET", "PATCH"])
        #expect(requests.last?.headers["If-Match"] == "2")
        #expect(requests.last?.jsonBody.object?.keys.sorted() == ["clustering"])
        #expect(changes.tablesChanged == 1)
        #expect(changes.closed.count == 1)
    }

    @Test func countsADifferenceThatSomebodyElseHasClosedAsTheirs() async {
        let clustered = Self.complete(etag: "2", more: #", "clustering": {"fields": ["a"]}"#)
        let (requests, changes, error) = await closing([
            Self.complete(etag: "1"), .refusal(412, "conditionNotMet"), clustered,
        ])

        #expect(error == nil)
        #expect(requests.count == 3)
        #expect(changes == SchemaChanges())
    }

    @Test func countsADifferenceOfWhichTheReplyWasLostAsItsOwn() async {
        let clustered = Self.complete(etag: "2", more: #", "clustering": {"fields": ["a"]}"#)
        let (requests, changes, error) = await closing([
            Self.complete(etag: "1"), .refusal(503, "backendError"), .refusal(412, "conditionNotMet"), clustered,
        ])

        #expect(error == nil)
        #expect(requests.count == 4)
        #expect(changes.tablesChanged == 1)
    }

    @Test func addsColumnsFirstAndCountsTheTableOnce() async {
        let (requests, changes, error) = await closing([
            Self.table(["a"], etag: "1"), .json("{}"), Self.complete(etag: "2"), .json("{}"),
        ])

        #expect(error == nil)
        #expect(requests.map(\.method) == ["GET", "PATCH", "GET", "PATCH"])
        #expect(changes.tablesUpdated + changes.tablesChanged == 1)
        #expect(changes.columnsAdded == 1)
        #expect(changes.closed.count == 1)
    }
}
