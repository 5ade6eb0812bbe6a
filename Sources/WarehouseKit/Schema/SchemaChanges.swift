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

    mutating func add(_ other: SchemaChanges) {
        datasetsCreated += other.datasetsCreated
        tablesCreated += other.tablesCreated
        tablesUpdated += other.tablesUpdated
        columnsAdded += other.columnsAdded
        relaxed += other.relaxed
        conflicts += other.conflicts
        leftOut += other.leftOut
    }

    /// In a few words: `created the dataset, 19 tables; added 3 columns in 2 tables`.
    var summary: String {
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
