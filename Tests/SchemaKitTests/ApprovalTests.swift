import EmbeddedWarehouse
import JobRuntime
import TestSupport
import Testing
import WarehouseKit

@testable import SchemaKit
@testable import Warehouse

@Suite struct ApprovalTests {
    private static func catalog(_ columns: String..., tables: [String] = ["plans"]) throws -> Catalog {
        let fields = columns.map { #"{"name": "\#($0)", "type": "STRING"}"# }.joined(separator: ",")
        return try Catalog([
            .organization: tables.map {
                CatalogFile(
                    name: $0, path: "\($0).json", contents: .init(#"{"schema": {"fields": [\#(fields)]}}"#.utf8))
            }
        ])
    }

    private func fixture(_ slugs: String...) async throws -> OrganizationFixture {
        try await OrganizationFixture(try EmbeddedWarehouse(path: ":memory:"), slugs.map { .init($0) })
    }

    private func digest(_ fixture: OrganizationFixture, _ catalog: Catalog) async throws -> PlanDigest {
        let output = try await fixture.sync(catalog: catalog, isDryRun: true).output
        let line = try #require(output.split(separator: "\n").first { $0.hasPrefix("Digest: ") })
        return try #require(PlanDigest(String(line.dropFirst(8))))
    }

    private func approval(_ plans: PlanDigest...) -> Approval { Approval(of: plans, isRequired: true) }

    private func columns(_ fixture: OrganizationFixture, _ slug: String) async throws -> [String] {
        let reference = TableReference(DatasetID("\(slug)_test")!, "plans")!
        return try await fixture.warehouse.table(reference)?.schema.fields.map(\.name) ?? []
    }

    @Test func withoutAnApprovalNothingIsAppliedWhereOneIsRequired() async throws {
        let fixture = try await fixture("acme", "globex")
        let report = try await fixture.sync(catalog: Self.catalog("name"), approval: approval())

        #expect(report["datasets_created"] == 0)
        #expect(
            report.failures.map(\.reason) == [
                "not approved; left in 2 datasets (acme_test, globex_test)",
                "see the plan and its digest: ./scripts/run-job.sh test org-sync-all -- --dry-run",
            ])
        #expect(try await !fixture.hasDataset("acme_test"))
    }

    @Test func anApprovedPlanIsAppliedAndStaysValidForNewOrganizations() async throws {
        let fixture = try await fixture("acme")
        let (old, new) = (try Self.catalog("name"), try Self.catalog("name", "notes"))
        try await fixture.sync(catalog: old)
        let digest = try await digest(fixture, new)
        try await fixture.add(.init("late"))

        let report = try await fixture.sync(catalog: new, approval: approval(digest))
        let again = try await fixture.sync(catalog: new, approval: approval(digest))

        #expect(report.failures.isEmpty)
        #expect(try await columns(fixture, "acme") == ["name", "notes"])
        #expect(try await columns(fixture, "late") == ["name", "notes"])
        #expect(again["in_sync"] == 2)
        #expect(again.failures.isEmpty)
    }

    @Test func aKindThatAppearedSinceIsLeftAndTheOthersAreApplied() async throws {
        let fixture = try await fixture("acme")
        let tables = ["plans", "costs"]
        try await fixture.sync(catalog: Self.catalog("name", tables: ["plans"]))
        let catalog = try Self.catalog("name", "notes", tables: tables)
        let digest = try await digest(fixture, catalog)
        // The digest approves plans.notes and the table costs, and this organization has a costs table without the column.
        try await fixture.add(.init("odd"))
        try await fixture.sync(only: ["odd"], catalog: Self.catalog("name", tables: tables))

        let report = try await fixture.sync(catalog: catalog, approval: approval(digest))

        #expect(report.failures.map(\.subject) == ["add costs.notes STRING", "approval"])
        #expect(report.failures.first?.reason == "not approved; left in 1 dataset (odd_test)")
        #expect(try await columns(fixture, "acme") == ["name", "notes"])
        #expect(try await columns(fixture, "odd") == ["name", "notes"])
        let costs = TableReference(DatasetID("odd_test")!, "costs")!
        #expect(try await fixture.warehouse.table(costs)?.schema.fields.map(\.name) == ["name"])
    }

    @Test func anApprovalOfAnotherCatalogCountsForNothing() async throws {
        let fixture = try await fixture("acme")
        try await fixture.sync(catalog: Self.catalog("name"))
        let digest = try await digest(fixture, Self.catalog("name", "notes"))

        let report = try await fixture.sync(catalog: Self.catalog("name", "notes", "more"), approval: approval(digest))

        #expect(report.failures.map(\.subject) == ["add plans.more STRING", "add plans.notes STRING", "approval"])
        #expect(try await columns(fixture, "acme") == ["name"])
    }

    /// A run that was killed between a dataset and its tables leaves an empty dataset.
    @Test func anEmptyDatasetCountsAsNew() async throws {
        let fixture = try await fixture("acme")
        let catalog = try Self.catalog("name", tables: ["plans", "costs"])
        let digest = try await digest(fixture, catalog)
        let dataset = try #require(DatasetID("acme_test"))
        _ = try await fixture.warehouse.createDataset(Dataset(id: dataset, location: "US"))

        let report = try await fixture.sync(catalog: catalog, approval: approval(digest))

        #expect(report.failures.isEmpty)
        #expect(report["tables_created"] == 2)
    }

    @Test func theDigestIsOfKindsAndNotOfTenants() async throws {
        let (old, new) = (try Self.catalog("name"), try Self.catalog("name", "notes"))
        let (one, many) = (try await fixture("a"), try await fixture("b", "c", "d"))
        for fixture in [one, many] { try await fixture.sync(catalog: old) }

        let digests = [try await digest(one, new), try await digest(many, new)]

        #expect(digests[0] == digests[1])
        #expect(digests[0].kinds.count == 1)
        #expect(PlanDigest(digests[0].description) == digests[0])
        for text in ["", "12345678-", "1234567", "12345678-12345", "12345678-12345G", "12345678-1234567"] {
            #expect(PlanDigest(text) == nil)
        }
    }

    /// One wrong letter in the catalog, and a thousand tenants that have the right column.
    @Test func aMisspelledColumnOfAThousandTenantsIsCalledOutAndNotApplied() async throws {
        let shown = Table(fields: ["name", "contract_id"].map { FieldSchema($0, "STRING") })
        let wrong = NamedTable("plans", Table(fields: ["name", "contrct_id"].map { FieldSchema($0, "STRING") }))
        let report = ReportFixture()
        let sync = SchemaSync(
            warehouse: ThousandTenants(table: shown), policy: .everything(byScript: false), tables: [wrong],
            request: SchemaRequest(
                isDryRun: true, applied: [], approval: Approval.none.covering([wrong]),
                command: RunCommand(job: "org-sync-all", environment: "prod")),
            differences: DifferenceLog(tolerated: []), report: report.report)

        let items = (1...1000).map { number in
            let id = DatasetID("org_\(1000 + number)_prod")!
            return SchemaSync.Item(
                subject: id.name, dataset: Dataset(id: id, location: "US"), tables: [wrong],
                finding: DatasetFinding(differing: ["plans"]))
        }
        try await sync.sync(items, atOnce: 8)
        sync.printTable(title: "organization")

        #expect(report.output.contains("  1000 datasets (org_1001_prod, org_1002_prod, org_1003_prod ...)\n"))
        #expect(
            report.output.contains(
                "Check: add plans.contrct_id STRING: it looks like a misspelling of contract_id, which the table has.\n"
            ))
        #expect(report.output.split(separator: "\n").count <= 10)
    }

    @Test(arguments: [
        ("contrct_id", "contract_id", true), ("contarct_id", "contract_id", true), ("notes", "note", true),
        ("tag_1", "tag_2", false), ("start_date", "end_date", false), ("id", "ip", false),
    ])
    func recognizesMisspellings(_ new: String, _ existing: String, _ isNear: Bool) {
        #expect((FieldSchema(new, "STRING").lookalike(among: [FieldSchema(existing, "STRING")]) != nil) == isNear)
        #expect(FieldSchema(new, "STRING").lookalike(among: [FieldSchema(existing, "DATE")]) == nil)
    }
}

/// Datasets that all have one table.
private struct ThousandTenants: SchemaWarehouse {
    struct Refused: Error {}

    var table: Table
    let location = "US"

    func table(_ reference: TableReference) async throws -> Table? {
        var table = table
        table.etag = "1"
        return table
    }
    func dataset(_ id: DatasetID) async throws -> Dataset? { throw Refused() }
    func createDataset(_ dataset: Dataset) async throws -> Bool { throw Refused() }
    func tables(in dataset: DatasetID) async throws -> [String] { throw Refused() }
    func createTable(_ reference: TableReference, _ table: Table) async throws -> Bool { throw Refused() }
    func createTables(_ tables: [NamedTable], in dataset: DatasetID, at location: String) async throws {
        throw Refused()
    }
    func locations(of datasets: [DatasetID]) async throws -> DatasetLocations { throw Refused() }
    func updateSchema(of reference: TableReference, to fields: [FieldSchema], ifMatch etag: String) async throws {
        throw Refused()
    }
    func update(_ reference: TableReference, with change: TableChange, ifMatch etag: String) async throws {
        throw Refused()
    }
    func survey(_ scope: SurveyScope, for tables: [NamedTable]) async throws -> SchemaSurvey { throw Refused() }
    func members(
        of groups: [SchemaSurvey.Group], in scope: SurveyScope, for tables: [NamedTable]
    ) async throws -> SchemaSurvey.Members { throw Refused() }
}
