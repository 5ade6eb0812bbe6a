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
}
