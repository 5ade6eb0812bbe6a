package import JobRuntime
package import Warehouse
package import WarehouseKit

/// Creates and evolves the service's own datasets: `organizations` with its meta tables and `scheduler_jobs` with the state
/// of these jobs.
///
/// Two executions at the same time both succeed, because a resource that exists is not an error. A second run changes nothing.
///
/// ```swift
/// let bootstrap = Bootstrap(warehouse: warehouse, catalog: catalog, environment: .test, report: report)
/// try await bootstrap.create()
/// ```
package struct Bootstrap: Sendable {
    package var warehouse: any SchemaWarehouse
    package var catalog: Catalog
    package var environment: DeploymentEnvironment?
    package var report: RunReport
    package var isDryRun: Bool

    package init(
        warehouse: any SchemaWarehouse, catalog: Catalog, environment: DeploymentEnvironment?, report: RunReport,
        isDryRun: Bool = false
    ) {
        self.warehouse = warehouse
        self.catalog = catalog
        self.environment = environment
        self.report = report
        self.isDryRun = isDryRun
    }

    /// Creates missing datasets and tables. Reports missing columns.
    package func create() async throws { try await run(.create) }

    /// Adds missing columns. A missing dataset or table is a failure.
    package func addColumns() async throws { try await run(.addColumns) }

    private static let groups: [(id: DatasetID, group: Catalog.Group, description: String)] = [
        (DatasetID.organizations, .organizations, "Organizations, their subscriptions, quotas, runs and settings"),
        (
            DatasetID.schedulerJobs, .operations,
            "State of the scheduler jobs: leases, billing sync queue, run history"
        ),
    ]

    private func run(_ policy: SchemaPolicy) async throws {
        report.declare(counts: "tables", "in_sync")
        SchemaSync.declareCounts(in: report)
        report.begin("datasets", total: Self.groups.count)
        let sync = SchemaSync(warehouse: warehouse, policy: policy, isDryRun: isDryRun, report: report)
        defer { sync.printTable() }
        try await eachConcurrently(Self.groups, atOnce: Self.groups.count) { id, group, description in
            try await survey(dataset(id, description), with: catalog.tables(group), then: sync)
            report.advance(id.name)
        }
    }

    private func survey(_ dataset: Dataset, with tables: [NamedTable], then sync: SchemaSync) async throws {
        report.add(tables.count, to: "tables")
        let survey = try await warehouse.survey([dataset.id], for: tables, known: nil)
        report.add(Int(survey.bytesBilled), to: "bytes_billed")
        guard let finding = survey.findings[dataset.id] else {
            report.add(tables.count, to: "in_sync")
            return
        }
        let affected = finding.datasetExists ? finding.absent.union(finding.differing).count : tables.count
        report.add(tables.count - affected, to: "in_sync")
        try await sync.sync(dataset: dataset, with: tables, finding: finding, subject: dataset.id.name)
    }

    private func dataset(_ id: DatasetID, _ description: String) -> Dataset {
        var labels = ["managed_by": "scheduler-jobs"]
        labels["environment"] = environment?.rawValue
        return Dataset(id: id, location: warehouse.location, description: description, labels: labels)
    }
}
