/// What applying a plan did.
package struct SchemaChanges: Hashable, Sendable {
    package var datasetsCreated = 0
    package var tablesCreated = 0
    package var tablesUpdated = 0
    package var columnsAdded = 0
    /// Columns that the catalog calls REQUIRED and that were added as NULLABLE: `dataset.table.column`.
    package var relaxed: [String] = []
    package var conflicts: [TableConflict] = []

    package init(tablesCreated: Int = 0, conflicts: [TableConflict] = []) {
        self.tablesCreated = tablesCreated
        self.conflicts = conflicts
    }

    package mutating func add(_ other: SchemaChanges) {
        datasetsCreated += other.datasetsCreated
        tablesCreated += other.tablesCreated
        tablesUpdated += other.tablesUpdated
        columnsAdded += other.columnsAdded
        relaxed += other.relaxed
        conflicts += other.conflicts
    }
}
