import JobRuntime
import Synchronization
import Warehouse

/// Plans and applies what datasets lack, one call for each dataset, and reports what came of it.
///
/// What fails or is in conflict is reported and does not keep other datasets from their turn, unless the next one would fail
/// in the same way: then the error is thrown.
final class SchemaSync: Sendable {
    private let warehouse: any SchemaWarehouse
    private let policy: SchemaPolicy
    private let isDryRun: Bool
    private let report: RunReport
    private let rows = Mutex<[[String]]>([])
    private let planned = Mutex<[DatasetID: [String]]>([:])

    init(warehouse: any SchemaWarehouse, policy: SchemaPolicy, isDryRun: Bool, report: RunReport) {
        self.warehouse = warehouse
        self.policy = policy
        self.isDryRun = isDryRun
        self.report = report
    }

    /// The counts that ``bringUp(_:to:_:subject:)`` adds to. In a dry run they say what would be done.
    static func declareCounts(in report: RunReport) {
        report.declare(
            counts: "datasets_created", "tables_created", "tables_updated", "columns_added", "conflicts", "bytes_billed"
        )
    }

    /// - Parameter subject: Whom failures are reported for.
    func bringUp(
        _ dataset: Dataset, to tables: [NamedTable], _ finding: SchemaSurvey.Finding, subject: String
    ) async throws {
        let done = Mutex(SchemaChanges())
        let record: @Sendable (SchemaChanges) -> Void = { [self] step in
            done.withLock { $0.add(step) }
            count(step, in: dataset)
        }
        do {
            let finding = policy == .addColumns ? try await confirmed(finding, dataset, tables) : finding
            var plan = try await SchemaPlanner(warehouse: warehouse, tables: tables).plan(
                for: dataset, finding: finding)
            record(SchemaChanges(conflicts: plan.conflicts))
            reportWhatIsNotOurs(&plan)
            if isDryRun {
                plan.lines.forEach(report.line)
                planned.withLock { $0[dataset.id] = plan.lines }
                record(plan.changes)
            } else {
                try await SchemaApplier(warehouse: warehouse, policy: policy, record: record).apply(plan)
            }
        } catch let error where !(error is CancellationError) {
            if (error as? WarehouseError)?.endsRun == true { throw error }
            report.fail(subject, String(describing: error))
            note(subject, dataset, "failed; " + done.withLock { $0.summary })
            return
        }
        note(subject, dataset, done.withLock { $0.summary })
    }

    /// One line for each dataset that was worked on, by subject; the summary's details have the same.
    /// - Parameter title: What subjects are; without it there is no column for them.
    func printTable(title: String? = nil) {
        let rows = rows.withLock { $0.sorted { ($0[0], $0[1]) < ($1[0], $1[1]) } }
        let header = [title ?? "", "dataset", isDryRun ? "would be done" : "done"]
        let hidden = title == nil ? 1 : 0
        let outcomes = rows.map {
            JSONText.object([
                ("subject", .string($0[0])), ("dataset", .string($0[1])), ("outcome", .string($0[2])),
            ])
        }
        report.attach("datasets", .array(outcomes))
        let plan = planned.withLock { $0.sorted { $0.key < $1.key }.flatMap(\.value) }
        if isDryRun { report.attach("plan", .array(plan.map { .string($0) })) }
        report.table(header: Array(header.dropFirst(hidden)), rows: rows.map { Array($0.dropFirst(hidden)) })
    }

    private func note(_ subject: String, _ dataset: Dataset, _ outcome: String) {
        rows.withLock { $0.append([subject, dataset.id.name, outcome]) }
    }

    private func count(_ step: SchemaChanges, in dataset: Dataset) {
        report.add(step.datasetsCreated, to: "datasets_created")
        report.add(step.tablesCreated, to: "tables_created")
        report.add(step.tablesUpdated, to: "tables_updated")
        report.add(step.columnsAdded, to: "columns_added")
        report.add(step.conflicts.count, to: "conflicts")
        for column in step.relaxed {
            report.warn(
                column,
                "\(isDryRun ? "would be added" : "added") NULLABLE and without default: BigQuery adds no REQUIRED column and no default to an existing table"
            )
        }
        for addition in step.leftOut { warn(of: addition, in: dataset) }
        for conflict in step.conflicts {
            report.fail("\(dataset.id).\(conflict.table)", "\(conflict.conflict); it was left as it is")
        }
    }

    /// A survey is a hint: before something is called missing it is looked for.
    private func confirmed(
        _ finding: SchemaSurvey.Finding, _ dataset: Dataset, _ tables: [NamedTable]
    ) async throws -> SchemaSurvey.Finding {
        var differing = finding.absent.union(finding.differing)
        if !finding.datasetExists {
            guard try await warehouse.dataset(dataset.id) != nil else { return finding }
            differing = Set(tables.map(\.name))
        }
        return SchemaSurvey.Finding(datasetExists: true, absent: [], differing: differing)
    }

    private func warn(of addition: TableAddition, in dataset: Dataset) {
        let columns = addition.diff.additions.joined(separator: ", ")
        report.warn("\(dataset.id).\(addition.table.name)", "lacks \(columns): run bootstrap-sync to add them")
    }

    /// Takes out of the plan what this job does not do, and says which job does it.
    private func reportWhatIsNotOurs(_ plan: inout SchemaPlan) {
        if policy == .create {
            for addition in plan.additions { warn(of: addition, in: plan.dataset) }
            plan.additions = []
        }
        if policy == .addColumns {
            if plan.createsDataset {
                report.fail(plan.dataset.id.name, "the dataset does not exist: run bootstrap first")
                plan.createsDataset = false
                plan.newTables = []
            }
            for table in plan.newTables {
                report.fail("\(plan.dataset.id).\(table.name)", "the table does not exist: run bootstrap first")
            }
            plan.newTables = []
        }
    }
}
