import EmbeddedWarehouse
import Foundation
import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@Suite struct BootstrapTests {
    private let warehouse: EmbeddedWarehouse
    private let catalog: Catalog

    init() throws {
        warehouse = try EmbeddedWarehouse(path: ":memory:")
        catalog = try Catalog.embedded([.organizations, .operations])
    }

    private func bootstrap(isDryRun: Bool = false) -> (job: Bootstrap, report: ReportFixture) {
        let fixture = ReportFixture()
        return (
            Bootstrap(
                warehouse: warehouse, catalog: catalog, environment: .test, report: fixture.report,
                isDryRun: isDryRun), fixture
        )
    }

    /// `job_leases` without its last column.
    private func makeShortTable() async throws -> FieldSchema {
        let table = try #require(catalog.tables(.operations).first { $0.name == "job_leases" })
        var short = table.table
        let missing = short.schema.fields.removeLast()
        let dataset = Dataset(id: DatasetID.schedulerJobs, location: "US")
        _ = try await warehouse.createDataset(dataset)
        let reference = try #require(TableReference(dataset.id, table.name))
        _ = try await warehouse.createTable(reference, short)
        return missing
    }

    @Test func createsBothDatasetsAndThenRests() async throws {
        let (first, firstReport) = bootstrap()
        let (second, secondReport) = bootstrap()

        try await first.create()
        try await second.create()

        #expect(firstReport["datasets_created"] == 2)
        #expect(firstReport["tables_created"] == 28)
        #expect(secondReport["in_sync"] == 28)
        #expect(secondReport["tables_created"] == 0)
        #expect(firstReport.failures.isEmpty && secondReport.failures.isEmpty)
        #expect(try await warehouse.tables(in: DatasetID.organizations).count == 21)
        #expect(try await warehouse.tables(in: DatasetID.schedulerJobs).count == 7)
    }

    /// A dataset's location cannot be changed: a second dataset in the wrong location would fit no setting any more.
    @Test func createsNothingWhereOneDatasetLiesElsewhere() async throws {
        _ = try await warehouse.createDataset(Dataset(id: .organizations, location: "EU"))
        let (job, report) = bootstrap()

        try await job.create()

        #expect(report.failures.count == 1)
        #expect(report.failures.first?.reason.contains("it is in EU, not in US") == true)
        #expect(report.failures.first?.reason.contains("BIGQUERY_LOCATION") == true)
        #expect(try await warehouse.dataset(.schedulerJobs) == nil)
        #expect(try await warehouse.tables(in: .organizations).isEmpty)
    }

    @Test func succeedsTwiceAtTheSameTime() async throws {
        let (first, firstReport) = bootstrap()
        let (second, secondReport) = bootstrap()

        async let one: Void = first.create()
        async let other: Void = second.create()
        _ = try await (one, other)

        #expect(firstReport.failures.isEmpty && secondReport.failures.isEmpty)
        #expect(firstReport["tables_created"] + secondReport["tables_created"] == 28)
    }

    @Test func reportsMissingColumnsAndLeavesThemToBootstrapSync() async throws {
        let missing = try await makeShortTable()
        let (job, report) = bootstrap()

        try await job.create()

        #expect(report.failures.isEmpty)
        #expect(report.warnings.map(\.subject) == ["scheduler_jobs.job_leases"])
        #expect(report.warnings.first?.reason == "lacks \(missing.name): run bootstrap-sync to add them")
        #expect(report["columns_added"] == 0)
        #expect(report["tables_created"] == 27)
    }

    @Test func addsMissingColumns() async throws {
        let missing = try await makeShortTable()
        try await bootstrap().job.create()
        let (job, report) = bootstrap()
        let (again, againReport) = bootstrap()

        try await job.addColumns()
        try await again.addColumns()

        #expect(report.failures.isEmpty)
        #expect(report["columns_added"] == 1)
        #expect(againReport["columns_added"] == 0)
        #expect(againReport["in_sync"] == 28)
        let reference = try #require(TableReference(DatasetID.schedulerJobs, "job_leases"))
        let last = try await warehouse.table(reference)?.schema.fields.last
        #expect(last?.name == missing.name)
        #expect(last?.description == missing.description)
    }

    @Test func saysThatBootstrapComesFirstWhereAnythingIsMissing() async throws {
        _ = try await makeShortTable()
        let (job, report) = bootstrap()

        try await job.addColumns()

        #expect(
            report.failures.map(\.subject).sorted() == [
                "organizations", "scheduler_jobs.billing_event_cursor", "scheduler_jobs.billing_sync_queue",
                "scheduler_jobs.job_runs",
                "scheduler_jobs.rollouts", "scheduler_jobs.schema_changes", "scheduler_jobs.verifications",
            ])
        #expect(report.failures.allSatisfy { $0.reason.hasSuffix("run bootstrap first") })
        #expect(report["columns_added"] == 1)
        #expect(report.output.contains("organizations   failed\n"))
        #expect(!report.output.contains("nothing to do"))
        #expect(try await warehouse.dataset(DatasetID.organizations) == nil)
    }

    /// A short table in a dry run: what would be added, and what is left to bootstrap-sync.
    @Test func aDryRunSaysWhatItWouldAdd() async throws {
        let missing = try await makeShortTable()
        let (create, createReport) = bootstrap(isDryRun: true)
        let (add, addReport) = bootstrap(isDryRun: true)

        try await create.create()
        try await add.addColumns()

        #expect(createReport.output.contains("    + 6 tables (billing_event_cursor, billing_sync_queue ...)\n"))
        #expect(addReport.output.contains("    + job_leases: \(missing.name) TIMESTAMP\n"))
        #expect(!(createReport.output + addReport.output).contains("added"))
    }

    @Test func writesNothingInADryRun() async throws {
        let (job, report) = bootstrap(isDryRun: true)

        try await job.create()

        #expect(report["datasets_created"] == 2)
        #expect(report["tables_created"] == 28)
        #expect(report.output.contains("    + dataset in US with 21 tables\n"))
        #expect(!report.output.contains("created"))
        #expect(try await warehouse.dataset(DatasetID.organizations) == nil)
    }
}

@Suite struct BootstrapHintTests {
    /// Views that show no table, while both datasets have tables that agree.
    @Test func doesNotCallMissingWhatTheViewsDoNotShow() async throws {
        let catalog = try Catalog.embedded([.organizations, .operations])
        let tables = catalog.tables(.organizations) + catalog.tables(.operations)
        let resources = try Dictionary(
            uniqueKeysWithValues: tables.map {
                ($0.name, String(decoding: try JSONEncoder().encode($0.table), as: UTF8.self))
            })
        let fixture = try BigQueryFixture { request in
            let name = request.path.split(separator: "/").last.map(String.init) ?? ""
            if let resource = resources[name] { return .json(resource) }
            if name == "tables" {
                let items = tables.map { #"{"tableReference": {"tableId": "\#($0.name)"}}"# }
                return .json(#"{"tables": [\#(items.joined(separator: ","))]}"#)
            }
            let sql = request.jsonBody["query"]?.string ?? ""
            let dataset =
                ["organizations", "scheduler_jobs"].first { sql.contains("`\($0)`.INFORMATION_SCHEMA") } ?? ""
            let group = catalog.tables(dataset == "organizations" ? .organizations : .operations)
            return SurveyAnswer(
                [.init(dataset, name: dataset, tables: [:])], wanted: group.map(\.name), isKnownShown: nil
            ).reply()
        }
        let report = ReportFixture()

        try await Bootstrap(
            warehouse: fixture.warehouse, catalog: catalog, environment: nil, report: report.report
        ).addColumns()

        #expect(report.failures.isEmpty)
        #expect(report["columns_added"] == 0)
        #expect(fixture.server.requests.allSatisfy { $0.method != "PATCH" })
    }
}
