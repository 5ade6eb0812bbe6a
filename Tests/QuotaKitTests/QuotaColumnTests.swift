import JobRuntime
import QuotaKit
import TestSupport
import Testing

@testable import SchemaKit
@testable import Warehouse
@testable import WarehouseKit

/// Tables whose counters have the names of the jobs in Python, or of both.
@Suite struct QuotaColumnTests {
    private let now = instant("2026-02-01T00:05:00Z")

    @Test(arguments: Backend.allCases, [QuotaFixture.Job.daily, .monthly])
    func aResetUsesThePairThatTheTableHas(_ backend: Backend, _ job: QuotaFixture.Job) async throws {
        let fixture = try await fixture(backend, "columns-python-\(job)", .predecessor)
        try await fixture.add(runs: [LoggedRun("one", "acme", "COMPLETED", instant("2026-02-01T00:01:00Z"))])
        let (dry, watched) = (FaultyWarehouse(fixture.warehouse), FaultyWarehouse(fixture.warehouse))

        let would = try await fixture.perform(job, at: now, on: dry, isDryRun: true)
        let report = try await fixture.perform(job, at: now, on: watched)

        let row = try #require(try await fixture.row("acme"))
        #expect([row.daily, row.monthly] == [1, 1])
        #expect(would["rows_created"] == 1)
        #expect(report["rows_created"] == 1)
        #expect(report.failures.isEmpty)
        // The MERGE that finds no such column, the one that does the work, and the census.
        #expect([dry.statements, watched.statements] == [3, 3])
    }

    /// What counts is not known, so it is no success.
    @Test(arguments: Backend.allCases, [["pipelines_run_today", "pipelines_run_month"], ["pipelines_run_month"]])
    func bothPairsAreAFailureUntilOneIsChosen(_ backend: Backend, _ others: [String]) async throws {
        let fixture = try await fixture(backend, "columns-both-\(others.count)", .standard, adding: others)

        let failure = await #expect(throws: RunFailure.self) { try await fixture.perform(.daily, at: now) }
        var reader = EnvironmentReader([
            "QUOTA_DAILY_COLUMN": "current_daily_pipelines", "QUOTA_MONTHLY_COLUMN": "current_monthly_pipelines",
        ])
        let chosen = try await fixture.perform(.daily, at: now, columns: QuotaColumns(reading: &reader))

        for word in others + ["current_daily_pipelines", "QUOTA_DAILY_COLUMN", "QUOTA_MONTHLY_COLUMN"] {
            #expect(failure?.reason.contains(word) == true)
        }
        #expect(chosen.failures.isEmpty)
    }

    @Test(arguments: Backend.allCases)
    func aTableWithNeitherPairIsNamed(_ backend: Backend) async throws {
        var reader = EnvironmentReader(["QUOTA_DAILY_COLUMN": "a", "QUOTA_MONTHLY_COLUMN": "b"])
        let fixture = try await fixture(backend, "columns-neither", QuotaColumns(reading: &reader))

        let error = await #expect(throws: WarehouseError.self) { try await fixture.perform(.daily, at: now) }

        #expect(error?.description.contains("has neither current_daily_pipelines and") == true)
    }

    @Test(arguments: Backend.allCases)
    func bootstrapSyncAddsNoSecondPair(_ backend: Backend) async throws {
        for (index, columns) in [QuotaColumns.standard, .predecessor].enumerated() {
            let fixture = try await fixture(backend, "columns-sync-\(index)", columns)
            let report = ReportFixture()

            try await bootstrap(fixture, report).create()
            try await bootstrap(fixture, report).addColumns()

            #expect(report["columns_added"] == 0)
            #expect(report.failures.isEmpty)
            #expect(report.warnings.isEmpty)
            #expect(try await names(fixture).contains(columns.daily))
            #expect(try await names(fixture).count == 18)
        }
    }

    @Test(arguments: Backend.allCases)
    func bootstrapSyncFailsWhereBothPairsAre(_ backend: Backend) async throws {
        let fixture = try await fixture(backend, "columns-sync-both", .standard, adding: ["pipelines_run_today"])
        let report = ReportFixture()

        try await bootstrap(fixture, report).addColumns()

        #expect(report.failures.map(\.subject) == ["counters of organizations.org_usage_quotas"])
        #expect(report["columns_added"] == 0)
    }

    /// The names that the environment chooses, in a new table and in an old one.
    @Test(arguments: Backend.allCases)
    func theCatalogFollowsTheVariables(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("columns-chosen")
        var reader = EnvironmentReader(["QUOTA_DAILY_COLUMN": "runs_today", "QUOTA_MONTHLY_COLUMN": "runs_month"])
        let columns = QuotaColumns(reading: &reader)
        let report = ReportFixture()
        let catalog = try Catalog.embedded([.organizations, .operations])
        let bootstrap = Bootstrap(
            warehouse: warehouse, catalog: catalog, environment: .test, report: report.report, columns: columns)

        try await bootstrap.create()
        try await bootstrap.addColumns()

        let fields = try #require(try await warehouse.table(QuotaColumns.table)?.schema.fields.map(\.name))
        #expect(fields.contains("runs_today") && fields.contains("runs_month"))
        #expect(!fields.contains("current_daily_pipelines"))
        #expect(report["columns_added"] == 0)
    }

    private func fixture(
        _ backend: Backend, _ project: String, _ columns: QuotaColumns, adding others: [String] = []
    ) async throws -> QuotaFixture {
        let catalog = try QuotaStatementTests.catalog(columns: columns, adding: others)
        let warehouse = try await backend.warehouse(project)
        // Made by somebody else, before the jobs.
        for (id, group) in [(DatasetID.organizations, Catalog.Group.organizations), (.schedulerJobs, .operations)] {
            _ = try await warehouse.createDataset(
                Dataset(id: id, location: warehouse.location, description: "", labels: [:]))
            try await warehouse.createTables(catalog.tables(group), in: id, at: warehouse.location)
        }
        var fixture = QuotaFixture(of: warehouse, catalog: catalog)
        fixture.columns = (columns.daily, columns.monthly)
        try await fixture.add(active: ["acme"])
        return fixture
    }

    private func bootstrap(_ fixture: QuotaFixture, _ report: ReportFixture) throws -> Bootstrap {
        Bootstrap(
            warehouse: fixture.warehouse, catalog: try Catalog.embedded([.organizations, .operations]),
            environment: .test, report: report.report)
    }

    private func names(_ fixture: QuotaFixture) async throws -> [String] {
        try await fixture.warehouse.table(QuotaColumns.table)?.schema.fields.map(\.name) ?? []
    }
}
