import JobRuntime
package import Warehouse

/// The changes that give one dataset the tables of the catalog. A plan is a value: a dry run prints it, and applying it twice
/// is harmless.
///
/// ```swift
/// let plan = try await SchemaPlanner(warehouse: warehouse, tables: tables).plan(for: dataset, finding: finding)
/// print(plan.lines.joined(separator: "\n"))
/// ```
package struct SchemaPlan: Hashable, Sendable {
    package var dataset: Dataset
    package var createsDataset = false
    /// Whether the dataset exists and has none of the catalog's tables.
    package var fillsDataset = false
    package var newTables: [NamedTable] = []
    package var additions: [TableAddition] = []
    /// Differences that the job closes in place.
    package var updates: [TableUpdate] = []
    package var differences: [TableDifference] = []
    /// Kinds of change that the dataset needs and that were not approved. They are no part of the plan.
    package var unapproved: [ChangeKind] = []
    /// New columns that look like a misspelling of a column that the table has: the name of that column.
    package var lookalikes: [ChangeKind: String] = [:]

    package init(dataset: Dataset) {
        self.dataset = dataset
    }

    /// The changes that applying the plan would cause.
    package var changes: SchemaChanges {
        SchemaChanges(
            datasetsCreated: createsDataset ? 1 : 0, tablesCreated: newTables.count, tablesUpdated: additions.count,
            columnsAdded: additions.reduce(0) { $0 + $1.diff.additions.count },
            relaxed: additions.flatMap { addition in
                addition.diff.relaxed.map { "\(dataset.id).\(addition.table.name).\($0)" }
            },
            tablesChanged: updates.count { update in !additions.contains { $0.table.name == update.table.name } },
            closed: updates.flatMap(\.closed))
    }

    /// One line for each change: `+ acme_prod.subscription_plans: would add notes, contract_id`.
    package var lines: [String] {
        var lines: [String] = createsDataset ? ["+ \(dataset.id): would create dataset in \(dataset.location)"] : []
        lines += newTables.map {
            "+ \(dataset.id).\($0.name): would create table, \(spoken($0.table.schema.fields.count, "columns"))"
        }
        for addition in additions {
            lines.append(
                "+ \(dataset.id).\(addition.table.name): would add \(addition.diff.additions.joined(separator: ", "))")
        }
        lines += differences.filter(\.difference.isConflict).map { "! \(dataset.id).\($0.table): \($0.difference)" }
        return lines
    }
}

/// The columns that a table lacks, with the version of the table in which they were missing.
package struct TableAddition: Hashable, Sendable {
    package var table: NamedTable
    package var diff: SchemaDiff
    package var etag: String

    package init(table: NamedTable, diff: SchemaDiff, etag: String) {
        self.table = table
        self.diff = diff
        self.etag = etag
    }
}

/// Differences of a table that can be closed in place, with the version of the table in which they were found.
package struct TableUpdate: Hashable, Sendable {
    package var table: NamedTable
    package var change: TableChange
    package var closed: [TableDifference]
    package var etag: String
}

/// A difference between a table and the catalog that no addition closes.
package struct TableDifference: Hashable, Sendable, CustomStringConvertible {
    package var table: String
    package var difference: SchemaDifference

    package init(table: String, difference: SchemaDifference) {
        self.table = table
        self.difference = difference
    }

    package var description: String { "\(table): \(difference)" }
}

/// Turns the hints of a survey into a plan. It reads each table that seems to differ.
package struct SchemaPlanner: Sendable {
    package var warehouse: any SchemaWarehouse
    package var tables: [NamedTable]
    /// Kinds of differences that the job closes.
    package var applied: Set<SchemaDifference.Kind>
    /// The changes that a plan may have.
    package var approval: Approval

    package init(
        warehouse: any SchemaWarehouse, tables: [NamedTable], applied: Set<SchemaDifference.Kind> = [],
        approval: Approval = .none
    ) {
        self.approval = approval
        self.warehouse = warehouse
        self.tables = tables
        self.applied = applied
    }

    /// Says "create" only of a table that the dataset's own list does not have.
    package func plan(for dataset: Dataset, finding: DatasetFinding) async throws -> SchemaPlan {
        var plan = SchemaPlan(dataset: dataset)
        guard finding.datasetExists else {
            plan.createsDataset = true
            plan.newTables = tables
            return plan
        }
        var differing = finding.differing
        if !finding.absent.isEmpty {
            let present = Set(try await warehouse.tables(in: dataset.id))
            plan.newTables = tables.filter { finding.absent.contains($0.name) && !present.contains($0.name) }
            plan.fillsDataset = plan.newTables.count == tables.count
            differing.formUnion(finding.absent.intersection(present))
        }
        for table in tables where differing.contains(table.name) {
            try Task.checkCancellation()
            try await add(table, to: &plan)
        }
        return plan
    }

    /// Reads the table and adds to the plan what the table needs: its creation, its missing columns, its changes.
    func add(_ table: NamedTable, to plan: inout SchemaPlan) async throws {
        guard let reference = TableReference(plan.dataset.id, table.name),
            let actual = try await warehouse.table(reference)
        else {
            plan.newTables.append(table)
            return
        }
        var diff = SchemaDiff(expected: table.table, actual: actual)
        for path in diff.additions {
            let kind = ChangeKind(adding: path, to: table)
            let siblings = FieldSchema.siblings(of: path, in: actual.schema.fields)
            plan.lookalikes[kind] = FieldSchema.find(path, in: table.table.schema.fields)?.lookalike(among: siblings)
        }
        func isApproved(_ change: ChangeKind) -> Bool {
            if approval.allows(change) { return true }
            plan.unapproved.append(change)
            return false
        }
        diff.leaveOut(diff.additions.filter { !isApproved(ChangeKind(adding: $0, to: table)) })
        func named(_ differences: [SchemaDifference]) -> [TableDifference] {
            differences.map { TableDifference(table: table.name, difference: $0) }
        }
        let kinds = Set(diff.differences.map(\.kind)).intersection(applied)
        let closing = kinds.filter { isApproved(ChangeKind(table: table.name, .set($0))) }
        let closed = diff.differences.filter { closing.contains($0.kind) }
        plan.differences += named(diff.differences.filter { !closing.contains($0.kind) })
        guard !diff.additions.isEmpty || !closed.isEmpty else { return }
        guard let etag = actual.etag else {
            throw WarehouseError(
                .unexpectedResult, operation: "read table \(reference)", message: "it came without an etag")
        }
        if !diff.additions.isEmpty { plan.additions.append(TableAddition(table: table, diff: diff, etag: etag)) }
        guard !closed.isEmpty else { return }
        plan.updates.append(
            TableUpdate(
                table: table, change: TableChange(closing: closed, of: actual, as: table.table), closed: named(closed),
                etag: etag))
    }
}

/// Which changes a job may apply.
package enum SchemaPolicy: Sendable, Hashable {
    /// bootstrap creates datasets and tables, and reports missing columns.
    case create
    /// bootstrap-sync adds columns, and reports missing datasets and tables.
    case addColumns
    /// org-sync-all creates datasets and tables and adds columns. With `byScript`, one script creates several missing tables of
    /// a dataset. A script takes the server longer, but BigQuery accepts only ten `tables.insert` a second (facts BQ-11 and BQ-31).
    case everything(byScript: Bool)

    var addsColumns: Bool { self != .create }
    var createsByScript: Bool { self == .everything(byScript: true) }
}

/// The changes of one step of applying a plan, or of several steps together.
package struct SchemaChanges: Hashable, Sendable {
    package var datasetsCreated = 0
    package var tablesCreated = 0
    package var tablesUpdated = 0
    package var columnsAdded = 0
    /// Columns that the catalog calls REQUIRED and that were added as NULLABLE: `dataset.table.column`.
    package var relaxed: [String] = []
    /// Differences that stay.
    package var differences: [TableDifference] = []
    /// Missing columns that the job's policy does not add.
    package var leftOut: [TableAddition] = []
    /// Tables in which differences were closed, without those that got columns.
    package var tablesChanged = 0
    /// Differences that are closed now.
    package var closed: [TableDifference] = []

    package mutating func add(_ other: SchemaChanges) {
        datasetsCreated += other.datasetsCreated
        tablesCreated += other.tablesCreated
        tablesUpdated += other.tablesUpdated
        columnsAdded += other.columnsAdded
        relaxed += other.relaxed
        differences += other.differences
        leftOut += other.leftOut
        tablesChanged += other.tablesChanged
        closed += other.closed
    }

    /// The changes in a few words: `dataset created, 19 tables created`, in a dry run `would create dataset, would create 19
    /// tables`; `nil` without any.
    /// - Parameter tolerated: Kinds that do not count as conflicts.
    package func summary(isDryRun: Bool, tolerated: Set<SchemaDifference.Kind> = []) -> String? {
        func part(_ subject: String, _ verb: String, _ participle: String) -> String {
            isDryRun ? "would \(verb) \(subject)" : "\(subject) \(participle)"
        }
        var parts: [String] = []
        if datasetsCreated > 0 { parts.append(part("dataset", "create", "created")) }
        if tablesCreated > 0 { parts.append(part(spoken(tablesCreated, "tables"), "create", "created")) }
        if columnsAdded > 0 {
            let tables = spoken(tablesUpdated, "tables")
            parts.append(part(spoken(columnsAdded, "columns"), "add", "added") + " in \(tables)")
        }
        for kind in TableChange.kinds {
            let number = closed.count { $0.difference.kind == kind }
            guard number > 0 else { continue }
            let subject =
                kind == .clustering ? "clustering of \(spoken(number, "tables"))" : spoken(number, kind.rawValue)
            parts.append(part(subject, "set", "set"))
        }
        let missing = leftOut.reduce(0) { $0 + $1.diff.additions.count }
        if missing > 0 { parts.append("\(spoken(missing, "columns")) missing") }
        let conflicts = differences.filter { $0.difference.isConflict && !tolerated.contains($0.difference.kind) }
        if !conflicts.isEmpty { parts.append(spoken(conflicts.count, "conflicts")) }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }
}

extension Dataset {
    /// The error of a dataset that lies in another location than the run works in; `nil` if it lies there. A dataset cannot be
    /// moved, so nothing is created beside it.
    func misplacement(wanted: Dataset) -> WarehouseError? {
        guard location.lowercased() != wanted.location.lowercased() else { return nil }
        return WarehouseError(
            .invalid, operation: "use dataset \(id)",
            message: "it is in \(location), not in \(wanted.location), where this run works"
        ).withAdvice(
            "copy its tables into a dataset in \(wanted.location), and name that dataset in org_profiles.org_dataset_id"
        )
    }
}
