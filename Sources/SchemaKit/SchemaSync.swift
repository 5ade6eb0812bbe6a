import JobRuntime
import Synchronization
import Warehouse

/// Plans and applies what datasets lack, one call for each dataset, and reports the outcome.
///
/// A dataset that fails or is in conflict is reported, and the other datasets still get their turn. If the next dataset would
/// fail in the same way, the error is thrown. In a dry run nothing is written, and every line says "would".
final class SchemaSync: Sendable {
    private struct Outcome {
        var subject: String
        var dataset: DatasetID
        var text: String
    }

    private let warehouse: any SchemaWarehouse
    private let policy: SchemaPolicy
    private let applied: Set<SchemaDifference.Kind>
    private let isDryRun: Bool
    private let report: RunReport
    private let differences: DifferenceLog
    private let outcomes = Mutex<[Outcome]>([])
    private let planned = Mutex<[DatasetID: [String]]>([:])

    init(
        warehouse: any SchemaWarehouse, policy: SchemaPolicy, applied: Set<SchemaDifference.Kind> = [],
        differences: DifferenceLog, isDryRun: Bool, report: RunReport
    ) {
        self.applied = applied
        for kind in TableChange.kinds where applied.contains(kind) { report.declare(counts: Self.count(of: kind)) }
        self.warehouse = warehouse
        self.differences = differences
        self.policy = policy
        self.isDryRun = isDryRun
        self.report = report
    }

    /// Names the counts that ``sync(dataset:with:finding:subject:)`` adds to. In a dry run they count what would be done.
    static func declareCounts(in report: RunReport) {
        report.declare(
            counts: "datasets_created", "tables_created", "tables_updated", "columns_added", "conflicts", "notices",
            "tolerated", "bytes_billed"
        )
    }

    /// The name of the count of closed differences.
    private static func count(of kind: SchemaDifference.Kind) -> String {
        kind == .clustering ? "clusterings_updated" : "\(kind.rawValue)_updated"
    }

    /// Gives the dataset the tables and columns that it lacks, as far as the policy allows.
    ///
    /// - Parameters:
    ///   - finding: The survey's hint about the dataset.
    ///   - subject: The name under which a failure is reported.
    func sync(
        dataset: Dataset, with tables: [NamedTable], finding: DatasetFinding, subject: String
    ) async throws {
        let done = Mutex(SchemaChanges())
        let record: @Sendable (SchemaChanges) -> Void = { [self] step in
            done.withLock { $0.add(step) }
            count(step, in: dataset)
        }
        var hasFailed = false
        do {
            var plan = try await SchemaPlanner(
                warehouse: warehouse, tables: tables, applied: applied
            ).plan(
                for: dataset, finding: finding)
            record(SchemaChanges(differences: plan.differences))
            hasFailed = restrict(&plan, record: record)
            if isDryRun {
                // The run reports each of them once, and closes may bring many datasets here that share them.
                plan.differences.removeAll { !applied.isEmpty || !differences.isConflict($0.difference) }
                plan.lines.forEach(report.line)
                planned.withLock { $0[dataset.id] = plan.lines }
                record(plan.changes)
            } else {
                let refusals = try await SchemaApplier(
                    warehouse: warehouse, policy: policy, applied: applied, record: record
                ).apply(plan)
                for refusal in refusals { report.fail(subject, "table \(refusal.table): \(refusal.error)") }
                if !refusals.isEmpty { hasFailed = true }
            }
        } catch let error where !(error is CancellationError) {
            if (error as? WarehouseError)?.endsRun == true { throw error }
            report.fail(subject, String(describing: error))
            hasFailed = true
        }
        let summary = done.withLock { $0.summary(isDryRun: isDryRun, tolerated: differences.tolerated) }
        let text = hasFailed ? ["failed", summary].compactMap(\.self).joined(separator: "; ") : summary
        outcomes.withLock {
            $0.append(Outcome(subject: subject, dataset: dataset.id, text: text ?? "nothing to do"))
        }
    }

    /// Prints one line for each dataset that was worked on, sorted by subject. The summary's details get the same lines.
    /// - Parameter title: The heading of the subjects; without it the table has no column for them.
    func printTable(title: String? = nil) {
        let outcomes = outcomes.withLock {
            $0.sorted { ($0.subject, $0.dataset) < ($1.subject, $1.dataset) }
        }
        let details = outcomes.map {
            JSONValue.object([
                ("subject", .string($0.subject)), ("dataset", .string($0.dataset.name)), ("outcome", .string($0.text)),
            ])
        }
        report.attach("datasets", .array(details))
        let plan = planned.withLock { $0.sorted { $0.key < $1.key }.flatMap(\.value) }
        if isDryRun { report.attach("plan", .array(plan.map { .string($0) })) }
        let header = ["dataset", isDryRun ? "plan" : "done"]
        let rows = outcomes.map { (title == nil ? [] : [$0.subject]) + [$0.dataset.name, $0.text] }
        report.table(header: (title.map { [$0] } ?? []) + header, rows: rows)
    }

    private func count(_ step: SchemaChanges, in dataset: Dataset) {
        report.add(step.datasetsCreated, to: "datasets_created")
        report.add(step.tablesCreated, to: "tables_created")
        report.add(step.tablesUpdated + step.tablesChanged, to: "tables_updated")
        report.add(step.columnsAdded, to: "columns_added")
        for column in step.relaxed {
            report.warn(
                column,
                "\(isDryRun ? "would be added" : "added") NULLABLE and without default: BigQuery adds no REQUIRED column and no default to an existing table"
            )
        }
        for addition in step.leftOut {
            let columns = addition.diff.additions.joined(separator: ", ")
            report.warn("\(dataset.id).\(addition.table.name)", "lacks \(columns): run bootstrap-sync to add them")
        }
        for found in step.closed {
            report.add(1, to: Self.count(of: found.difference.kind))
            differences.close(found.difference, of: found.table, in: dataset.id)
        }
        for found in step.differences {
            differences.add(found.difference, of: found.table, in: [dataset.id], count: 1)
        }
    }

    /// Removes from the plan what the policy does not allow, and reports which job does it.
    /// - Returns: Whether something is missing without which this job cannot do its part.
    private func restrict(_ plan: inout SchemaPlan, record: (SchemaChanges) -> Void) -> Bool {
        switch policy {
        case .everything: return false
        case .create:
            record(SchemaChanges(leftOut: plan.additions))
            plan.additions = []
            return false
        case .addColumns:
            let isIncomplete = plan.createsDataset || !plan.newTables.isEmpty
            if plan.createsDataset {
                report.fail(plan.dataset.id.name, "the dataset does not exist: run bootstrap first")
            } else {
                for table in plan.newTables {
                    report.fail("\(plan.dataset.id).\(table.name)", "the table does not exist: run bootstrap first")
                }
            }
            plan.createsDataset = false
            plan.newTables = []
            return isIncomplete
        }
    }
}
