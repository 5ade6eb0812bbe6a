import EmbeddedWarehouse
import Foundation
import JobRuntime
import Synchronization
import TestSupport
import Testing

@testable import SchemaKit
@testable import Warehouse
@testable import WarehouseKit

@Suite struct SchemaHistoryTests {
    static func catalog(_ columns: [String], tables: [String] = ["plans"]) throws -> Catalog {
        let fields = columns.map { #"{"name": "\#($0)", "type": "STRING"}"# }.joined(separator: ",")
        let text = #"{"schema": {"fields": [\#(fields)]}}"#
        return try Catalog([
            .organization: tables.map { CatalogFile(name: $0, path: "\($0).json", contents: Data(text.utf8)) }
        ])
    }

    private func fixture(_ slugs: [String]) async throws -> OrganizationFixture {
        try await OrganizationFixture(try EmbeddedWarehouse(path: ":memory:"), slugs.map { .init($0) })
    }

    /// `acme plans.notes: add column`, in the order in which the rows were written.
    private func rows(_ warehouse: any SQLWarehouse) async throws -> [String] {
        try await warehouse.query(
            Statement(
                "read", "SELECT subject, table_name, column_name, change, failure FROM `scheduler_jobs.schema_changes`")
        ).rows.map { row in
            let place = [try row.optionalString("table_name"), try row.optionalString("column_name")].compactMap(\.self)
            let failure = try row.optionalString("failure").map { " failed: \($0)" } ?? ""
            let parts = [try row.string("subject")] + (place.isEmpty ? [] : [place.joined(separator: ".")])
            return "\(parts.joined(separator: " ")): \(try row.string("change"))\(failure)"
        }.sorted()
    }

    @Test func everyChangeIsARowAndARunInSyncWritesNone() async throws {
        let fixture = try await fixture(["acme", "globex"])

        try await fixture.sync(catalog: Self.catalog(["name"]), writesHistory: true)
        try await fixture.sync(
            catalog: Self.catalog(["name", "notes"], tables: ["plans", "costs"]), writesHistory: true)
        try await fixture.sync(
            catalog: Self.catalog(["name", "notes"], tables: ["plans", "costs"]), writesHistory: true)

        #expect(
            try await rows(fixture.warehouse) == [
                "acme costs: create table", "acme plans.notes: add column", "acme: create dataset with 1 table",
                "globex costs: create table", "globex plans.notes: add column", "globex: create dataset with 1 table",
            ])
    }

    @Test func aDryRunAndAnUnapprovedChangeLeaveNoRow() async throws {
        let fixture = try await fixture(["acme"])
        let approval = Approval(of: [], isRequired: true)

        try await fixture.sync(catalog: Self.catalog(["name"]), isDryRun: true, writesHistory: true)
        try await fixture.sync(catalog: Self.catalog(["name"]), approval: approval, writesHistory: true)

        #expect(try await rows(fixture.warehouse) == [])
    }

    @Test func withoutTheTableTheRunWarnsOnceAndGoesOn() async throws {
        let fixture = try await fixture((0..<3).map { "org_\($0)" })

        let report = try await fixture.sync(
            catalog: Self.catalog(["name"]), writesHistory: true, historyIn: WarehouseWithoutTables())

        #expect(report["datasets_created"] == 3)
        #expect(report.failures.isEmpty)
        #expect(report.warnings.map(\.subject) == ["scheduler_jobs.schema_changes"])
        #expect(report.warnings.first?.reason == "it does not exist, so 3 changes have no row: run bootstrap")
    }

    /// The columns of an older catalog, and one that a customer has added.
    @Test(arguments: [Backend.embedded, .emulator])
    func columnsOfNoCatalogAreANoticeWithTheirOrigin(_ backend: Backend) async throws {
        let slugs = (0..<5).map { "org_\($0)" }
        let fixture = try await OrganizationFixture(
            try await backend.warehouse("extra-columns"), slugs.map { .init($0) })
        try await fixture.sync(catalog: Self.catalog(["name"]), writesHistory: true)
        let grown = try Self.catalog(["name", "notes", "nots"])
        try await fixture.sync(only: Array(slugs.prefix(4)), catalog: grown, writesHistory: true)
        let own = try #require(TableReference(DatasetID("org_4_test")!, "plans"))
        let table = try #require(try await fixture.warehouse.table(own))
        try await fixture.warehouse.updateSchema(
            of: own, to: table.schema.fields + [FieldSchema("their_own", "STRING")], ifMatch: try #require(table.etag))

        let before = try await fixture.sync(catalog: grown, isDryRun: true, writesHistory: true)
        let after = try await fixture.sync(catalog: Self.catalog(["name"]), writesHistory: true)

        let day = Timestamp.wallClock().date
        #expect(
            before.warnings.map { "\($0.subject): \($0.reason)" } == [
                "org_4_test.plans: their_own is in no catalog; scheduler_jobs.schema_changes has no row that added them"
            ])
        #expect(
            after.warnings.map { "\($0.subject): \($0.reason)" } == [
                "plans: notes, nots, their_own are in no catalog; added by org-sync-all on \(day), in 5 datasets "
                    + "(org_0_test, org_1_test, org_2_test ...)"
            ])
        #expect(after["notices"] == 5)
        #expect(after.failures.isEmpty)
    }

    /// A lost reply and a repeated statement.
    @Test func aStatementThatIsSentTwiceWritesItsRowsOnce() async throws {
        let fixture = try await fixture([])
        let history = SchemaHistory(sql: fixture.warehouse, job: "org-sync-all", task: CloudRunTask())
        let dataset = try #require(DatasetID("acme_test"))
        let change = SchemaHistory.Change(
            subject: "acme", dataset: dataset, table: "plans", column: "notes", change: "add column")

        for _ in 0..<2 { try await history.write([change], catalog: "12345678") }
        try await history.writeFailures([(change, "refused")])

        #expect(try await rows(fixture.warehouse) == ["acme plans.notes: add column failed: refused"])
    }

    /// The row is there before the change, so a run that is killed in between leaves no change without a row.
    @Test func aRunThatIsKilledLeavesNoChangeWithoutARow() async throws {
        let (old, new) = (try Self.catalog(["name"]), try Self.catalog(["name", "notes"]))
        for kill in 0..<6 {
            let fixture = try await fixture(["acme", "globex"])
            try await fixture.sync(catalog: old)

            _ = try? await fixture.sync(catalog: new, writesHistory: true, killedAt: kill)
            var changed: [String] = []
            for slug in ["acme", "globex"] {
                let reference = TableReference(DatasetID("\(slug)_test")!, "plans")!
                if try await fixture.warehouse.table(reference)?.schema.fields.count == 2 { changed.append(slug) }
            }
            let written = try await rows(fixture.warehouse)
            try await fixture.sync(catalog: new, writesHistory: true)
            let all = try await rows(fixture.warehouse)

            for slug in changed { #expect(written.contains("\(slug) plans.notes: add column"), "killed at \(kill)") }
            for slug in ["acme", "globex"] { #expect(all.contains("\(slug) plans.notes: add column")) }
        }
    }
}

/// A warehouse before bootstrap.
private struct WarehouseWithoutTables: SQLWarehouse {
    func query(_ statement: Statement) async throws -> QueryResult {
        throw WarehouseError(.notFound, operation: statement.purpose, message: "Not found: Table")
    }

    func merge(_ merge: MergeStatement) async throws -> MergeResult {
        throw WarehouseError(.notFound, operation: merge.purpose, message: "Not found: Table")
    }
}
