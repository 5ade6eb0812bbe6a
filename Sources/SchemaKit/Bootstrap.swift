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
    package var columns: QuotaColumns

    /// - Parameter columns: The names of the counters in `org_usage_quotas`, as the environment gives them.
    package init(
        warehouse: any SchemaWarehouse, catalog: Catalog, environment: DeploymentEnvironment?, report: RunReport,
        isDryRun: Bool = false, columns: QuotaColumns = .standard
    ) {
        self.warehouse = warehouse
        self.catalog = catalog
        self.environment = environment
        self.report = report
        self.isDryRun = isDryRun
        self.columns = columns
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
        // Only bootstrap-sync reads the table in any case, because only it could add a second pair of counters.
        let isFollowed = policy == .addColumns || columns.isChosen
        let catalog = try await isFollowed ? followed() : catalog
        var work = try await withThrowingTaskGroup(of: Work?.self) { group in
            for (id, tables, description) in Self.groups {
                group.addTask { try await survey(dataset(id, description), for: catalog.tables(tables)) }
            }
            return try await group.compactMap(\.self).reduce(into: []) { $0.append($1) }
        }
        for place in work.indices where !isFollowed && work[place].concernsCounters {
            work[place].tables = try await followed().tables(.organizations)
        }
        // The location of a dataset cannot be changed, so both are read before either is created.
        if !work.isEmpty, try await !areInPlace() { return }
        try await eachConcurrently(work, atOnce: work.count) { item in
            try await sync.sync(
                dataset: item.dataset, with: item.tables, finding: item.finding, subject: item.dataset.id.name)
            report.advance(item.dataset.id.name)
        }
    }

    /// A dataset that may differ from the catalog.
    private struct Work: Sendable {
        var dataset: Dataset
        var tables: [NamedTable]
        var finding: SchemaSurvey.Finding

        var concernsCounters: Bool {
            dataset.id == DatasetID.organizations && finding.differing.contains(QuotaColumns.table.table)
        }
    }

    /// The catalog with the names of the counters that the warehouse has.
    private func followed() async throws -> Catalog { try await catalog.following(columns, of: warehouse, report) }

    /// - Returns: `nil` if the dataset agrees with the catalog.
    private func survey(_ dataset: Dataset, for tables: [NamedTable]) async throws -> Work? {
        report.add(tables.count, to: "tables")
        let survey = try await warehouse.survey([dataset.id], for: tables, known: nil)
        report.add(Int(survey.bytesBilled), to: "bytes_billed")
        guard let finding = survey.findings[dataset.id] else {
            report.add(tables.count, to: "in_sync")
            report.advance(dataset.id.name)
            return nil
        }
        let affected = finding.datasetExists ? finding.absent.union(finding.differing).count : tables.count
        report.add(tables.count - affected, to: "in_sync")
        return Work(dataset: dataset, tables: tables, finding: finding)
    }

    /// Whether no dataset lies in another location than the run works in. Reports each dataset that does.
    private func areInPlace() async throws -> Bool {
        var areInPlace = true
        for (id, _, description) in Self.groups {
            guard let existing = try await warehouse.visibleDataset(id),
                let misplaced = existing.misplacement(wanted: dataset(id, description))
            else { continue }
            let advice = "set BIGQUERY_LOCATION to where it is; nothing was created or changed"
            report.fail(id.name, String(describing: misplaced.withAdvice(advice)))
            areInPlace = false
        }
        return areInPlace
    }

    private func dataset(_ id: DatasetID, _ description: String) -> Dataset {
        var labels = ["managed_by": "scheduler-jobs"]
        labels["environment"] = environment?.rawValue
        return Dataset(id: id, location: warehouse.location, description: description, labels: labels)
    }
}
