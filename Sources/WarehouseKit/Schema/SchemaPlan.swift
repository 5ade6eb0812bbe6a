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
