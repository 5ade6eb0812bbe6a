import JobRuntime
import Synchronization
import Warehouse

/// Plans and applies what datasets lack, and reports the outcome.
///
/// - Datasets are worked on in parts of 500: all plans of a part, then their rows in the history, then their changes.
/// - A dataset that fails or is in conflict is reported, and the other datasets still get their turn. If the next dataset would
///   fail in the same way, the error is thrown.
/// - In a dry run nothing is written, and every line says "would".
final class SchemaSync: Sendable {
    /// A dataset that needs work, or has to be read before anybody knows.
    struct Item: Sendable {
        /// The name under which a failure is reported.
        var subject: String
        var dataset: Dataset
        var tables: [NamedTable]
        /// The survey's hint about the dataset.
        var finding: DatasetFinding
    }

    /// An item on its way.
    private final class Work: Sendable {
        struct State {
            var plan: SchemaPlan?
            var done = SchemaChanges()
            /// The failed tables by reason; without a name, the whole dataset.
            var failures: [(table: String?, reason: String)] = []
            var hasFailed = false
        }

        let item: Item
        let state = Mutex(State())

        init(_ item: Item) { self.item = item }
    }

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
    private let planned = Mutex<[PlanSummary.Shape: [DatasetID]]>([:])
    private let lookalikes = Mutex<[ChangeKind: String]>([:])
    private let unapproved = Mutex<[String: [DatasetID]]>([:])
    private let tables: [NamedTable]
    private let approval: Approval
    private let command: RunCommand
    /// Whether the plan of each dataset is printed with all of its lines.
    private let showsFullPlans: Bool
    private let history: SchemaHistory?
    private let tally: FailureTally?
    /// Rows for which the history had no table yet.
    private let unwritten = Mutex<[SchemaHistory.Change]>([])
    private let progress = Mutex((isComplete: false, failed: 0))

    init(
        warehouse: any SchemaWarehouse, policy: SchemaPolicy, tables: [NamedTable], request: SchemaRequest,
        differences: DifferenceLog, report: RunReport
    ) {
        self.tables = tables
        (showsFullPlans, history, tally) = (request.showsFullPlans, request.history, request.tally)
        (approval, command) = (request.approval, request.command)
        (applied, isDryRun) = (request.applied, request.isDryRun)
        for kind in TableChange.kinds where applied.contains(kind) { report.declare(counts: Self.count(of: kind)) }
        self.warehouse = warehouse
        self.differences = differences
        self.policy = policy
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

    private static let mostAtATime = 500

    /// Gives the datasets the tables and columns that they lack, as far as policy and approval allow.
    ///
    /// - Parameter rollout: The mark of the rollout that the changes are part of.
    func sync(_ items: [Item], atOnce: Int, rollout: String? = nil) async throws {
        for start in stride(from: 0, to: items.count, by: Self.mostAtATime) {
            let part = items[start..<min(start + Self.mostAtATime, items.count)].map(Work.init)
            try await eachConcurrently(part, atOnce: atOnce) { work in
                try await self.attempt(work) { try await self.plan(work) }
                if self.isDryRun { self.finish(work) }
            }
            guard !isDryRun else { continue }
            try await write(
                part.flatMap { $0.state.withLock { $0 }.plan?.changes(for: $0.item.subject) ?? [] }, rollout)
            do {
                try await eachConcurrently(part, atOnce: atOnce) { work in
                    try await self.attempt(work) { try await self.apply(work) }
                    self.finish(work)
                }
            } catch {
                try? await writeFailures(of: part)
                throw error
            }
            try await writeFailures(of: part)
        }
        progress.withLock { $0.isComplete = true }
    }

    /// Records the failure of one dataset. An error that the next dataset would meet, too, is thrown.
    private func attempt(_ work: Work, _ step: () async throws -> Void) async throws {
        do {
            try await step()
        } catch let error where !(error is CancellationError || error is RolloutHalt) {
            let reason = String(describing: error)
            work.state.withLock { state in
                state.hasFailed = true
                state.failures.append((nil, reason))
            }
            progress.withLock { $0.failed += 1 }
            if (error as? WarehouseError)?.endsRun == true { throw error }
            report.fail(work.item.subject, reason)
            try tally?.note(reason, of: work.item.dataset.id, work.item.subject)
        }
    }

    private func plan(_ work: Work) async throws {
        let item = work.item
        let planner = SchemaPlanner(
            warehouse: warehouse, tables: item.tables, applied: applied, approval: approvalOfColumns)
        var plan = try await planner.plan(for: item.dataset, finding: item.finding)
        record(SchemaChanges(differences: plan.differences), of: work)
        if restrict(&plan, record: { record($0, of: work) }) { work.state.withLock { $0.hasFailed = true } }
        lookalikes.withLock { $0.merge(plan.lookalikes) { first, _ in first } }
        if isDryRun {
            // The run reports each of them once, and closes may bring many datasets here that share them.
            plan.differences.removeAll { !applied.isEmpty || !differences.isConflict($0.difference) }
            let shape = PlanSummary.Shape(plan, byScript: policy.createsByScript)
            if !shape.lines.isEmpty { planned.withLock { $0[shape, default: []].append(item.dataset.id) } }
            record(plan.changes, of: work)
        } else {
            if leaveOutUnapproved(&plan) { work.state.withLock { $0.hasFailed = true } }
            work.state.withLock { $0.plan = plan }
        }
    }

    private func apply(_ work: Work) async throws {
        guard let plan = work.state.withLock({ $0.plan }) else { return }
        let refusals = try await SchemaApplier(
            warehouse: warehouse, policy: policy, applied: applied, approval: approvalOfColumns,
            record: { self.record($0, of: work) }
        ).apply(plan)
        for refusal in refusals { report.fail(work.item.subject, "table \(refusal.table): \(refusal.error)") }
        work.state.withLock { state in
            state.failures += refusals.map { ($0.table, String(describing: $0.error)) }
            if !refusals.isEmpty { state.hasFailed = true }
        }
        if let first = refusals.first {
            try tally?.note(String(describing: first.error), of: work.item.dataset.id, work.item.subject)
        }
    }

    private func record(_ step: SchemaChanges, of work: Work) {
        work.state.withLock { $0.done.add(step) }
        count(step, in: work.item.dataset)
    }

    private func finish(_ work: Work) {
        let state = work.state.withLock { $0 }
        let summary = state.done.summary(isDryRun: isDryRun, tolerated: differences.tolerated)
        let text = state.hasFailed ? ["failed", summary].compactMap(\.self).joined(separator: "; ") : summary
        outcomes.withLock {
            $0.append(
                Outcome(subject: work.item.subject, dataset: work.item.dataset.id, text: text ?? "nothing to do"))
        }
        report.advance(work.item.subject)
    }

    // MARK: - History

    /// Writes the rows of the changes to come. Rows without a table for them are kept, because bootstrap may create it.
    private func write(_ changes: [SchemaHistory.Change], _ rollout: String?) async throws {
        guard let history, !changes.isEmpty else { return }
        guard unwritten.withLock({ $0.isEmpty }) else { return unwritten.withLock { $0 += changes } }
        do {
            try await history.write(changes, catalog: approval.catalog, rollout: rollout)
        } catch let error as WarehouseError where error.code == .notFound && rollout == nil {
            unwritten.withLock { $0 += changes }
        }
    }

    private func writeFailures(of part: [Work]) async throws {
        guard let history, unwritten.withLock({ $0.isEmpty }) else { return }
        let failures = part.flatMap { work -> [(change: SchemaHistory.Change, reason: String)] in
            let state = work.state.withLock { $0 }
            return (state.plan?.changes(for: work.item.subject) ?? []).compactMap { change in
                let failure = state.failures.first { $0.table == nil || $0.table == change.table }
                return failure.map { (change, $0.reason) }
            }
        }
        try await history.writeFailures(failures)
    }

    /// Writes the rows that had no table before the run. Without the table still, it warns once.
    func closeHistory() async throws {
        let rows = unwritten.withLock { rows in
            defer { rows = [] }
            return rows
        }
        guard let history, !rows.isEmpty else { return }
        do {
            try await history.write(rows, catalog: approval.catalog)
        } catch let error as WarehouseError where error.code == .notFound {
            report.warn(
                "\(SchemaHistory.table)",
                "it does not exist, so \(spoken(rows.count, "changes")) have no row: run bootstrap")
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

    /// Columns that the job leaves to bootstrap-sync need no approval here. A dry run plans everything.
    private var approvalOfColumns: Approval { isDryRun || !policy.addsColumns ? .none : approval }

    /// Takes out of the plan what was not approved.
    /// - Returns: Whether something was.
    private func leaveOutUnapproved(_ plan: inout SchemaPlan) -> Bool {
        var left = plan.unapproved.map(\.description)
        if plan.isNew, !approval.allowsNewDatasets {
            left.append(plan.createsDataset ? "create dataset" : "create all tables")
            plan.newTables = []
            plan.createsDataset = false
        } else if !plan.isNew {
            plan.newTables.removeAll { table in
                let kind = ChangeKind(table: table.name, .createTable)
                guard !approval.allows(kind) else { return false }
                left.append(kind.description)
                return true
            }
        }
        unapproved.withLock { unapproved in
            for text in left { unapproved[text, default: []].append(plan.dataset.id) }
        }
        return !left.isEmpty
    }

    /// A run that left something is a failure, because datasets lack what the catalog has.
    private func reportUnapproved() {
        let left = unapproved.withLock { $0.sorted { $0.key < $1.key } }
        for (text, datasets) in left.prefix(Self.mostShownAlone) {
            report.fail(text, "not approved; left in \(DifferenceLog.datasets(datasets.count, datasets.sorted()))")
        }
        guard !left.isEmpty else { return }
        let more = left.count > Self.mostShownAlone ? "\(left.count - Self.mostShownAlone) more were left; " : ""
        report.fail("approval", "\(more)see the plan and its digest: \(command.with("--dry-run"))")
    }

    /// Warns of each new column that looks misspelled. In a dry run the plan has it.
    private func warnOfLookalikes() {
        for (kind, name) in lookalikes.withLock({ $0.sorted { $0.key < $1.key } }) {
            report.warn("\(kind)", "it looks like a misspelling of \(name), which the table has")
        }
    }

    private func printPlan() {
        let groups = planned.withLock { $0 }.map { (shape: $0, datasets: $1.sorted()) }
        let (isComplete, failed) = progress.withLock { $0 }
        // A run that ended before it had planned anything says so itself.
        guard isComplete || !groups.isEmpty else { return }
        let summary = PlanSummary(
            groups: groups, failed: failed, lookalikes: lookalikes.withLock { $0 }, catalog: approval.catalog,
            tables: tables,
            approval: approval, command: command, leastTime: warehouse.leastTime)
        (showsFullPlans ? summary.fullLines : summary.lines).forEach(report.line)
        report.attach("plan", summary.json)
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
        if isDryRun {
            printPlan()
        } else {
            warnOfLookalikes()
            reportUnapproved()
        }
        let outcomes = outcomes.withLock {
            $0.sorted { ($0.subject, $0.dataset) < ($1.subject, $1.dataset) }
        }
        let details = outcomes.map {
            JSONValue.object([
                ("subject", .string($0.subject)), ("dataset", .string($0.dataset.name)), ("outcome", .string($0.text)),
            ])
        }
        report.attach("datasets", .array(details))
        // A dry run has printed its plan, and its failures are in the log.
        guard !isDryRun else { return }
        report.table(header: (title.map { [$0] } ?? []) + ["dataset", "done"], rows: rows(outcomes, title: title))
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
            plan.fillsDataset = false
            plan.newTables = []
            return isIncomplete
        }
    }
}
