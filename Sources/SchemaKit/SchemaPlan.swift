package import Warehouse

/// What one dataset needs to have the tables of the catalog. A value: printing it is a dry run, and applying it twice is
/// harmless.
package struct SchemaPlan: Hashable, Sendable {
    package var dataset: Dataset
    package var createsDataset = false
    package var newTables: [NamedTable] = []
    package var additions: [TableAddition] = []
    package var conflicts: [TableConflict] = []

    package init(dataset: Dataset) {
        self.dataset = dataset
    }

    /// What applying the plan would do.
    package var changes: SchemaChanges {
        SchemaChanges(
            datasetsCreated: createsDataset ? 1 : 0, tablesCreated: newTables.count, tablesUpdated: additions.count,
            columnsAdded: additions.reduce(0) { $0 + $1.diff.additions.count },
            relaxed: additions.flatMap { addition in
                addition.diff.relaxed.map { "\(dataset.id).\(addition.table.name).\($0)" }
            })
    }

    /// One line a change, for people: `+ acme_prod.subscription_plans: add notes, contract_id`.
    package var lines: [String] {
        var lines: [String] = createsDataset ? ["+ \(dataset.id): create dataset in \(dataset.location)"] : []
        lines += newTables.map { "+ \(dataset.id).\($0.name): create table, \($0.table.schema.fields.count) columns" }
        for addition in additions {
            lines.append(
                "+ \(dataset.id).\(addition.table.name): add \(addition.diff.additions.joined(separator: ", "))")
        }
        lines += conflicts.map { "! \(dataset.id).\($0.table): \($0.conflict)" }
        return lines
    }
}

/// Columns that a table lacks, with the version of the table they were found in.
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

package struct TableConflict: Hashable, Sendable, CustomStringConvertible {
    package var table: String
    package var conflict: SchemaConflict

    package var description: String { "\(table): \(conflict)" }
}

/// Turns the hints of a survey into a plan, by reading each table that seems to differ.
package struct SchemaPlanner: Sendable {
    package var warehouse: any SchemaWarehouse
    package var tables: [NamedTable]

    package init(warehouse: any SchemaWarehouse, tables: [NamedTable]) {
        self.warehouse = warehouse
        self.tables = tables
    }

    package func plan(for dataset: Dataset, finding: SchemaSurvey.Finding) async throws -> SchemaPlan {
        var plan = SchemaPlan(dataset: dataset)
        guard finding.datasetExists else {
            plan.createsDataset = true
            plan.newTables = tables
            return plan
        }
        plan.newTables = tables.filter { finding.absent.contains($0.name) }
        for table in tables where finding.differing.contains(table.name) {
            try Task.checkCancellation()
            try await add(table, to: &plan)
        }
        return plan
    }

    /// Reads the table and puts into the plan what it needs: to be created, columns, or nothing but a report.
    func add(_ table: NamedTable, to plan: inout SchemaPlan) async throws {
        guard let reference = TableReference(plan.dataset.id, table.name),
            let actual = try await warehouse.table(reference)
        else {
            plan.newTables.append(table)
            return
        }
        let diff = SchemaDiff(expected: table.table, actual: actual)
        plan.conflicts += diff.conflicts.map { TableConflict(table: table.name, conflict: $0) }
        guard !diff.additions.isEmpty else { return }
        guard let etag = actual.etag else {
            throw WarehouseError(
                .unexpectedResult, operation: "read table \(reference)", message: "it came without an etag")
        }
        plan.additions.append(TableAddition(table: table, diff: diff, etag: etag))
    }
}

/// Which changes a job may make.
package enum SchemaPolicy: Sendable, Hashable {
    /// bootstrap: datasets and tables; columns that are missing are reported.
    case create
    /// bootstrap-sync: columns; datasets and tables that are missing are reported.
    case addColumns
    /// org-sync-all. `byScript`: several missing tables of a dataset are created by one script instead of a request each,
    /// which takes the server longer, but BigQuery takes only ten `tables.insert` a second.
    case everything(byScript: Bool)

    var addsColumns: Bool { self != .create }
    var createsByScript: Bool { self == .everything(byScript: true) }
}

/// What a step of applying a plan did, or several steps together.
package struct SchemaChanges: Hashable, Sendable {
    package var datasetsCreated = 0
    package var tablesCreated = 0
    package var tablesUpdated = 0
    package var columnsAdded = 0
    /// Columns that the catalog calls REQUIRED and that were added as NULLABLE: `dataset.table.column`.
    package var relaxed: [String] = []
    /// Conflicts that showed only while the plan was applied.
    package var conflicts: [TableConflict] = []
    /// Columns that tables lack which were there after all, where columns may not be added.
    package var leftOut: [TableAddition] = []

    package mutating func add(_ other: SchemaChanges) {
        datasetsCreated += other.datasetsCreated
        tablesCreated += other.tablesCreated
        tablesUpdated += other.tablesUpdated
        columnsAdded += other.columnsAdded
        relaxed += other.relaxed
        conflicts += other.conflicts
        leftOut += other.leftOut
    }

    /// In a few words: `created the dataset, 19 tables; added 3 columns in 2 tables`.
    package var summary: String {
        var parts: [String] = []
        if datasetsCreated > 0 { parts.append("dataset created") }
        if tablesCreated > 0 { parts.append("\(tablesCreated) \(tablesCreated == 1 ? "table" : "tables") created") }
        if columnsAdded > 0 {
            parts.append("\(columnsAdded) \(columnsAdded == 1 ? "column" : "columns") added in \(tablesUpdated)")
        }
        if !conflicts.isEmpty { parts.append("\(conflicts.count) \(conflicts.count == 1 ? "conflict" : "conflicts")") }
        return parts.isEmpty ? "nothing to do" : parts.joined(separator: ", ")
    }
}
