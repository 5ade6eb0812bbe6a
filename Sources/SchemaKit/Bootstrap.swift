package import JobRuntime
package import Warehouse
package import WarehouseKit

/// Creates and evolves the service's own datasets: `organizations` with its meta tables and `scheduler_jobs` with the state
/// of these jobs.
///
/// Two executions at once both succeed: what the other one created in the meantime counts as there.
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

    /// Creates the datasets and tables that are missing; columns that are missing are reported.
    package func create() async throws { try await run(.create) }

    /// Adds the columns that are missing; a dataset or table that is missing is a failure.
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
            try await bringUp(dataset(id, description), to: catalog.tables(group), sync)
            report.advance(id.name)
        }
    }

    private func bringUp(_ dataset: Dataset, to tables: [NamedTable], _ sync: SchemaSync) async throws {
        report.add(tables.count, to: "tables")
        let survey = try await warehouse.survey([dataset.id], for: tables, known: nil)
        report.add(Int(survey.bytesBilled), to: "bytes_billed")
        guard let finding = survey.findings[dataset.id] else {
            report.add(tables.count, to: "in_sync")
            return
        }
        let affected = finding.datasetExists ? finding.absent.union(finding.differing).count : tables.count
        report.add(tables.count - affected, to: "in_sync")
        try await sync.bringUp(dataset, to: tables, finding, subject: dataset.id.name)
    }

    private func dataset(_ id: DatasetID, _ description: String) -> Dataset {
        var labels = ["managed_by": "scheduler-jobs"]
        labels["environment"] = environment?.rawValue
        return Dataset(id: id, location: warehouse.location, description: description, labels: labels)
    }
}
