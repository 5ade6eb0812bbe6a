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
    /// Kinds of differences that do not fail the run.
    package var tolerated: Set<SchemaDifference.Kind> = []
    /// Kinds of differences that ``addColumns()`` closes in place.
    package var applied: Set<SchemaDifference.Kind> = []
    /// The changes that the run may apply.
    package var approval = Approval.none
    /// Where changes are written before they are made.
    package var history: SchemaHistory?
    /// If it is set, the run explains the differences. It must be a dry run.
    package var explanationDay: CivilDate?

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
        let differences = DifferenceLog(tolerated: tolerated, isDryRun: isDryRun)
        defer { differences.flush(to: report) }
        let tables = Self.groups.flatMap { self.catalog.tables($0.group) }
        let request = SchemaRequest(
            isDryRun: isDryRun, applied: applied, approval: approval.covering(tables),
            command: RunCommand(
                job: policy == .create ? "bootstrap" : "bootstrap-sync", environment: environment?.rawValue,
                options: applied.map(\.rawValue).sorted().flatMap { ["--apply", $0] }), history: history)
        let sync = SchemaSync(
            warehouse: warehouse, policy: policy, tables: tables, request: request, differences: differences,
            report: report)
        defer { sync.printTable() }
        // Only bootstrap-sync reads the table in any case, because only it could add a second pair of counters.
        let isFollowed = policy == .addColumns || columns.isChosen
        let catalog = try await isFollowed ? followed() : catalog
        var outcomes = try await withThrowingTaskGroup(of: Compared.self) { group in
            for (id, tables, description) in Self.groups {
                group.addTask {
                    try await compare(dataset(id, description), with: catalog.tables(tables), differences)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        for place in outcomes.indices where !isFollowed && outcomes[place].concernsCounters {
            outcomes[place].tables = try await followed().tables(.organizations)
        }
        if let sql = history?.sql {
            try await ExtraColumnsNotice(sql: sql, differences: differences).add(
                outcomes.flatMap(\.extras), besides: outcomes.flatMap(\.tables))
        }
        // The location of a dataset cannot be changed, so nothing is created before both were found or are known to be missing.
        let misplaced = outcomes.compactMap(\.misplacement)
        for (id, error) in misplaced { report.fail(id.name, error) }
        guard misplaced.isEmpty else { return }
        for item in outcomes where item.finding == nil { report.advance(item.dataset.id.name) }
        let items = outcomes.compactMap { item in
            item.finding.map {
                SchemaSync.Item(
                    subject: item.dataset.id.name, dataset: item.dataset, tables: item.tables, finding: $0)
            }
        }
        try await sync.sync(items, atOnce: max(1, items.count))
        try await sync.closeHistory()
        if let explanationDay {
            try await DifferenceExplanation(
                warehouse: warehouse, tables: outcomes.flatMap(\.tables), day: explanationDay
            ).print(differences.entries, to: report)
        }
    }

    private struct Compared: Sendable {
        var dataset: Dataset
        var tables: [NamedTable]
        /// `nil` if nothing is to do.
        var finding: DatasetFinding?
        var extras: [SchemaSurvey.ExtraColumns]
        /// Why the dataset cannot be used; `nil` if it lies in the location of the run, or does not exist.
        var misplacement: (DatasetID, String)?

        var concernsCounters: Bool {
            dataset.id == DatasetID.organizations && finding?.differing.contains(QuotaColumns.table.table) == true
        }
    }

    /// The catalog with the names of the counters that the warehouse has.
    private func followed() async throws -> Catalog { try await catalog.following(columns, of: warehouse, report) }

    private func compare(
        _ dataset: Dataset, with tables: [NamedTable], _ differences: DifferenceLog
    ) async throws -> Compared {
        report.add(tables.count, to: "tables")
        let target = SurveyTarget(subject: dataset.id.name, dataset: dataset.id)
        let outcome = try await SchemaComparison(
            warehouse: warehouse, tables: tables, differences: differences, report: report, isDryRun: isDryRun,
            followsDatasets: false, applied: applied
        ).outcome(of: SurveyScope(.datasets([target]), location: warehouse.location, known: .nothing))
        var compared = Compared(
            dataset: dataset, tables: tables, finding: outcome.work.first?.finding, extras: outcome.extras)
        if let location = outcome.elsewhere[target] {
            var existing = dataset
            existing.location = location
            let advice = "set BIGQUERY_LOCATION to where it is; nothing was created or changed"
            compared.misplacement = existing.misplacement(wanted: dataset).map {
                (dataset.id, "\($0.withAdvice(advice))")
            }
            return compared
        }
        let affected = compared.finding.map {
            $0.datasetExists ? $0.absent.union($0.differing).count : tables.count
        }
        report.add(tables.count - (affected ?? 0) - outcome.conflictingTables, to: "in_sync")
        return compared
    }

    private func dataset(_ id: DatasetID, _ description: String) -> Dataset {
        var labels = ["managed_by": "scheduler-jobs"]
        labels["environment"] = environment?.rawValue
        return Dataset(id: id, location: warehouse.location, description: description, labels: labels)
    }
}
