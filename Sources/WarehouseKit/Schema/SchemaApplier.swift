/// Carries out a plan against whatever the warehouse has become since.
///
/// Each step is safe to repeat and to race: creating what is there reads it and adds what it lacks, and a schema is only
/// replaced in the version that was read, otherwise it is read and compared again. A run killed between two steps leaves a
/// dataset that the next run completes.
package struct SchemaApplier: Sendable {
    package var warehouse: any Warehouse
    /// Whether several missing tables of a dataset are created by one script instead of one request each. Requests come back
    /// sooner, but BigQuery takes only ten `tables.insert` a second.
    package var createsByScript: Bool

    /// How often a table that others keep changing is read anew before the run gives up on it.
    private static let rounds = 5

    package init(warehouse: any Warehouse, createsByScript: Bool) {
        self.warehouse = warehouse
        self.createsByScript = createsByScript
    }

    /// - Returns: What this run did. Cancellation is obeyed between two steps.
    package func apply(_ plan: SchemaPlan) async throws -> SchemaChanges {
        var changes = SchemaChanges(conflicts: plan.conflicts)
        var plan = plan
        if plan.createsDataset { try await createDataset(&plan, &changes) }
        try await createTables(plan, &changes)
        for addition in plan.additions {
            try Task.checkCancellation()
            try await add(addition, in: plan.dataset, &changes)
        }
        return changes
    }

    private func createDataset(_ plan: inout SchemaPlan, _ changes: inout SchemaChanges) async throws {
        if try await warehouse.createDataset(plan.dataset) {
            changes.datasetsCreated += 1
            return
        }
        guard let existing = try await warehouse.dataset(plan.dataset.id) else { return }
        guard existing.location.lowercased() == plan.dataset.location.lowercased() else {
            throw WarehouseError(
                .invalid, operation: "use dataset \(existing.id)",
                message:
                    "it is in \(existing.location), not in \(plan.dataset.location); set BIGQUERY_LOCATION to where it is"
            )
        }
    }

    private func createTables(_ plan: SchemaPlan, _ changes: inout SchemaChanges) async throws {
        if createsByScript && plan.newTables.count > 1 {
            try Task.checkCancellation()
            try await warehouse.createTables(plan.newTables, in: plan.dataset.id)
            changes.tablesCreated += plan.newTables.count
            return
        }
        let outcomes = try await withThrowingTaskGroup(of: SchemaChanges.self) { group in
            for table in plan.newTables {
                group.addTask { try await create(table, in: plan.dataset) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        for outcome in outcomes { changes.add(outcome) }
    }

    private func create(_ table: NamedTable, in dataset: Dataset) async throws -> SchemaChanges {
        guard let reference = TableReference(dataset.id, table.name) else {
            throw WarehouseError(.invalid, operation: "create table \(table.name)", message: "not a valid table name")
        }
        if try await warehouse.createTable(reference, table.table) { return SchemaChanges(tablesCreated: 1) }
        return try await bringUpToDate(table, in: dataset)
    }

    private func add(_ addition: TableAddition, in dataset: Dataset, _ changes: inout SchemaChanges) async throws {
        if try await update(addition, in: dataset, &changes) { return }
        changes.add(try await bringUpToDate(addition.table, in: dataset))
    }

    /// Reads, compares and updates until the table stands still.
    private func bringUpToDate(_ table: NamedTable, in dataset: Dataset) async throws -> SchemaChanges {
        let planner = SchemaPlanner(warehouse: warehouse, tables: [table])
        for _ in 1...Self.rounds {
            try Task.checkCancellation()
            var plan = SchemaPlan(dataset: dataset)
            try await planner.add(table, to: &plan)
            var changes = SchemaChanges(conflicts: plan.conflicts)
            guard let addition = plan.additions.first else { return changes }
            if try await update(addition, in: dataset, &changes) { return changes }
        }
        throw WarehouseError(
            .preconditionFailed, operation: "update table \(dataset.id).\(table.name)",
            message: "somebody else keeps changing its schema; run the job again")
    }

    /// - Returns: `false` if the table is no longer in the version that was read.
    private func update(
        _ addition: TableAddition, in dataset: Dataset, _ changes: inout SchemaChanges
    ) async throws -> Bool {
        guard let reference = TableReference(dataset.id, addition.table.name) else { return false }
        do {
            try await warehouse.updateSchema(of: reference, to: addition.diff.merged, ifMatch: addition.etag)
        } catch let error as WarehouseError where error.code == .preconditionFailed || error.code == .alreadyExists {
            return false
        }
        changes.tablesUpdated += 1
        changes.columnsAdded += addition.diff.additions.count
        changes.relaxed += addition.diff.relaxed.map { "\(dataset.id).\(addition.table.name).\($0)" }
        return true
    }
}
