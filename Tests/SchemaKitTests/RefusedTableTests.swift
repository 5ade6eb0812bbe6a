import HTTPTransport
import JobRuntime
import Synchronization
import TestSupport
import Testing

@testable import SchemaKit
@testable import Warehouse

/// One table that BigQuery refuses keeps no other table from its turn.
@Suite struct RefusedTableTests {
    /// A column of that name was dropped a while ago, for instance: such a table must not keep the others old for ever.
    @Test func everyTableGetsItsTurnThoughOneIsRefused() async throws {
        let fixture = try BigQueryFixture { request in
            switch (request.method, request.path.contains("plans2") || request.path.contains("new2")) {
            case ("PATCH", true): .refusal(400, "invalid", "Column b was recently deleted")
            case ("POST", _) where String(decoding: request.body, as: UTF8.self).contains("new2"):
                .refusal(400, "invalid", "Description is too long")
            case ("PATCH", _), ("POST", _): .json("{}")
            default: .refusal(404, "notFound")
            }
        }
        var plan = SchemaPlan(dataset: SchemaApplierTests.dataset)
        let diff = SchemaDiff(
            expected: SchemaApplierTests.wanted.table, actual: Table(fields: [FieldSchema("a", "STRING")]))
        plan.additions = (1...4).map {
            TableAddition(table: NamedTable("plans\($0)", SchemaApplierTests.wanted.table), diff: diff, etag: "1")
        }
        plan.newTables = (1...3).map { NamedTable("new\($0)", SchemaApplierTests.wanted.table) }
        let recorded = Mutex(SchemaChanges())
        let applier = SchemaApplier(warehouse: fixture.warehouse, policy: .everything(byScript: false)) { step in
            recorded.withLock { $0.add(step) }
        }

        let refusals = try await applier.apply(plan)

        #expect(refusals.map(\.table) == ["new2", "plans2"])
        #expect(refusals.map(\.error.message) == ["Description is too long", "Column b was recently deleted"])
        #expect(recorded.withLock { $0.tablesUpdated } == 3)
        #expect(recorded.withLock { $0.tablesCreated } == 2)
    }

    /// A text that cannot be parsed is refused as a whole, before its first statement: then no table is to blame for its place.
    @Test func aScriptThatIsRefusedAsAWholeBlamesNoTableThatCanBeCreated() async throws {
        let fixture = try BigQueryFixture { request in
            let body = String(decoding: request.body, as: UTF8.self)
            return switch (request.method, request.path.hasSuffix("/queries")) {
            case ("POST", true) where body.contains("new2"):
                .refusal(400, "invalidQuery", "Syntax error: Unexpected keyword at [9:3]")
            case ("POST", true): .json(#"{"jobComplete": true, "schema": {}}"#)
            case ("POST", _) where body.contains("new2"): .refusal(400, "invalid", "Description is too long")
            case ("POST", _): .json("{}")
            default: .json("{}")
            }
        }
        var plan = SchemaPlan(dataset: SchemaApplierTests.dataset)
        plan.newTables = (1...4).map { NamedTable("new\($0)", SchemaApplierTests.wanted.table) }
        let recorded = Mutex(SchemaChanges())
        let applier = SchemaApplier(warehouse: fixture.warehouse, policy: .everything(byScript: true)) { step in
            recorded.withLock { $0.add(step) }
        }

        let refusals = try await applier.apply(plan)

        #expect(refusals.map(\.table) == ["new2"])
        #expect(recorded.withLock { $0.tablesCreated } == 3)
    }
}
