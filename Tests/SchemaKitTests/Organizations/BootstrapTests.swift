import EmbeddedWarehouse
import SchemaKit
import Warehouse

#if EmbeddedWarehouse
    import JobRuntime
    import TestSupport
    import Testing
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
            #expect(firstReport["tables_created"] == 24)
            #expect(secondReport["in_sync"] == 24)
            #expect(secondReport["tables_created"] == 0)
            #expect(firstReport.failures.isEmpty && secondReport.failures.isEmpty)
            #expect(try await warehouse.tables(in: DatasetID.organizations).count == 21)
            #expect(try await warehouse.tables(in: DatasetID.schedulerJobs).count == 3)
        }

        @Test func succeedsTwiceAtTheSameTime() async throws {
            let (first, firstReport) = bootstrap()
            let (second, secondReport) = bootstrap()

            async let one: Void = first.create()
            async let other: Void = second.create()
            _ = try await (one, other)

            #expect(firstReport.failures.isEmpty && secondReport.failures.isEmpty)
            #expect(firstReport["tables_created"] + secondReport["tables_created"] == 24)
        }

        @Test func reportsMissingColumnsAndLeavesThemToBootstrapSync() async throws {
            let missing = try await makeShortTable()
            let (job, report) = bootstrap()

            try await job.create()

            #expect(report.failures.isEmpty)
            #expect(report.warnings.map(\.subject) == ["scheduler_jobs.job_leases"])
            #expect(report.warnings.first?.reason == "lacks \(missing.name): run bootstrap-sync to add them")
            #expect(report["columns_added"] == 0)
            #expect(report["tables_created"] == 23)
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
            #expect(againReport["in_sync"] == 24)
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
                    "organizations", "scheduler_jobs.billing_sync_queue", "scheduler_jobs.job_runs",
                ])
            #expect(report.failures.allSatisfy { $0.reason.hasSuffix("run bootstrap first") })
            #expect(report["columns_added"] == 1)
            #expect(try await warehouse.dataset(DatasetID.organizations) == nil)
        }

        @Test func writesNothingInADryRun() async throws {
            let (job, report) = bootstrap(isDryRun: true)

            try await job.create()

            #expect(report["datasets_created"] == 2)
            #expect(report["tables_created"] == 24)
            #expect(report.output.contains("+ organizations: create dataset in US"))
            #expect(try await warehouse.dataset(DatasetID.organizations) == nil)
        }
    }
#endif
