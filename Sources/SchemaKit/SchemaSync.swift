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
    private let relaxed = Mutex<[String: [DatasetID]]>([:])
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

    /// Warns of each column that was added otherwise than the catalog says, once for all datasets.
    private func warnOfRelaxedColumns() {
        let reason =
            "\(isDryRun ? "would be added" : "added") NULLABLE and without default: BigQuery adds no REQUIRED column and no default "
            + "to an existing table"
        for (column, datasets) in relaxed.withLock({ $0.sorted { $0.key < $1.key } }) {
            if datasets.count == 1 {
                report.warn("\(datasets[0]).\(column)", reason)
            } else {
                report.warn(column, "\(reason), in \(DifferenceLog.datasets(datasets.count, datasets.sorted()))")
            }
        }
    }

    /// As many datasets with the same plan or outcome are shown one by one. More are shown as one, with three names.
    private static let mostShownAlone = 10

    /// Prints the plans of a dry run. Datasets with the same plan are one paragraph.
    private func printPlans() {
        let plans = planned.withLock { $0.sorted { $0.key < $1.key } }.map { dataset, lines in
            (dataset: dataset, lines: lines, shared: Self.lines(lines, without: dataset))
        }
        let byPlan = Dictionary(grouping: plans, by: \.shared)
        for plan in plans {
            let alike = byPlan[plan.shared] ?? []
            if alike.count <= Self.mostShownAlone {
                plan.lines.forEach(report.line)
            } else if alike.first?.dataset == plan.dataset && !plan.shared.isEmpty {
                report.line("\(DifferenceLog.datasets(alike.count, alike.map(\.dataset))):")
                plan.shared.forEach { report.line("  \($0)") }
            }
        }
    }

    /// Lines of a plan without the name of the dataset: `+ subscription_plans: would add notes`.
    private static func lines(_ lines: [String], without dataset: DatasetID) -> [String] {
        lines.map { line in
            let mark = line.prefix(2)
            let rest = line.dropFirst(2 + dataset.name.count)
            return String(mark + (rest.hasPrefix(": ") ? rest.dropFirst(2) : rest.dropFirst()))
        }
    }

    /// The rows of the table. Datasets with the same outcome are one row if there are many.
    private func rows(_ outcomes: [Outcome], title: String?) -> [[String]] {
        let byText = Dictionary(grouping: outcomes, by: \.text)
        return outcomes.compactMap { outcome in
            let alike = byText[outcome.text] ?? []
            if alike.count <= Self.mostShownAlone {
                return (title == nil ? [] : [outcome.subject]) + [outcome.dataset.name, outcome.text]
            }
            guard alike.first?.dataset == outcome.dataset else { return nil }
            let names = alike.prefix(3).map(\.dataset.name).joined(separator: ", ") + " ..."
            return (title == nil ? [] : ["\(alike.count)"]) + [names, outcome.text]
        }
    }

    /// Prints one line for each dataset that was worked on, sorted by subject. The summary's details get a line for each dataset.
    /// - Parameter title: The heading of the subjects; without it the table has no column for them.
    func printTable(title: String? = nil) {
        warnOfRelaxedColumns()
        if isDryRun { printPlans() }
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
        report.table(header: (title.map { [$0] } ?? []) + header, rows: rows(outcomes, title: title))
    }

    private func count(_ step: SchemaChanges, in dataset: Dataset) {
        report.add(step.datasetsCreated, to: "datasets_created")
        report.add(step.tablesCreated, to: "tables_created")
        report.add(step.tablesUpdated + step.tablesChanged, to: "tables_updated")
        report.add(step.columnsAdded, to: "columns_added")
        for column in step.relaxed {
            // Without the dataset, so that a column is one warning however many datasets get it.
            relaxed.withLock { $0[String(column.dropFirst(dataset.id.name.count + 1)), default: []].append(dataset.id) }
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
