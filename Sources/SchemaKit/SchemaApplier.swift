import HTTPTransport
package import Warehouse

/// Carries out a plan against whatever the warehouse has become since.
///
/// Each step is safe to repeat and to race: creating what is there reads it and adds what it lacks, and a schema is only
/// replaced in the version that was read, otherwise it is read and compared again. A run killed between two steps leaves a
/// dataset that the next run completes.
package struct SchemaApplier: Sendable {
    package var warehouse: any Warehouse
    package var policy: SchemaPolicy
    /// Hears of every step that was done, at once, so that a run that is stopped or fails knows what it did.
    package var record: @Sendable (SchemaChanges) -> Void

    /// How often a table that others keep changing is read anew before the run gives up on it.
    private static let rounds = 5

    package init(
        warehouse: any Warehouse, policy: SchemaPolicy, record: @escaping @Sendable (SchemaChanges) -> Void
    ) {
        self.warehouse = warehouse
        self.policy = policy
        self.record = record
    }

    /// Cancellation is obeyed between two steps. The plan's own conflicts are the caller's to report.
    package func apply(_ plan: SchemaPlan) async throws {
        var isNew = false
        if plan.createsDataset { isNew = try await create(plan.dataset) }
        var newTables = plan.newTables
        if policy.createsByScript && newTables.count > 1 {
            // A dataset that was there may have some of the tables after all, and a script would leave them as they are.
            let present = isNew ? [] : Set(try await warehouse.tables(in: plan.dataset.id))
            try await createByScript(newTables.filter { !present.contains($0.name) }, in: plan.dataset)
            newTables.removeAll { !present.contains($0.name) }
        }
        try await createEach(newTables, in: plan.dataset)
        for addition in plan.additions {
            try Task.checkCancellation()
            if try await !update(addition, in: plan.dataset) {
                try await bringUpToDate(addition.table, in: plan.dataset, told: plan.conflicts)
            }
        }
    }

    /// - Returns: `false` if it was there.
    private func create(_ dataset: Dataset) async throws -> Bool {
        var refusal: WarehouseError?
        do {
            if try await warehouse.createDataset(dataset) {
                record(SchemaChanges(datasetsCreated: 1))
                return true
            }
        } catch let error as WarehouseError where error.code == .accessDenied {
            // An account that may not create datasets can still use one that is there and was only not seen.
            refusal = error.withAdvice("run create-all-jobs.sh, which makes it, or grant bigquery.datasets.create")
        }
        let existing: Dataset?
        do {
            existing = try await warehouse.dataset(dataset.id)
        } catch let error as WarehouseError where error.code == .accessDenied {
            throw refusal ?? error
        }
        guard let existing else {
            if let refusal { throw refusal }
            return false
        }
        guard existing.location.lowercased() == dataset.location.lowercased() else {
            throw WarehouseError(
                .invalid, operation: "use dataset \(existing.id)",
                message:
                    "it is in \(existing.location), not in \(dataset.location); set BIGQUERY_LOCATION to where it is")
        }
        return false
    }

    private func createByScript(_ tables: [NamedTable], in dataset: Dataset) async throws {
        guard !tables.isEmpty else { return }
        try Task.checkCancellation()
        do {
            try await warehouse.createTables(tables, in: dataset.id)
        } catch let error as WarehouseError where !error.isRetryable && !error.endsRun {
            // A script that fails has done what stands before. Not being able to count that must not hide why it failed.
            let present = Set((try? await warehouse.tables(in: dataset.id)) ?? [])
            record(SchemaChanges(tablesCreated: tables.count { present.contains($0.name) }))
            throw error
        }
        record(SchemaChanges(tablesCreated: tables.count))
    }

    private func createEach(_ tables: [NamedTable], in dataset: Dataset) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for table in tables {
                group.addTask { try await create(table, in: dataset) }
            }
            try await group.waitForAll()
        }
    }

    private func create(_ table: NamedTable, in dataset: Dataset) async throws {
        guard let reference = TableReference(dataset.id, table.name) else {
            throw WarehouseError(.invalid, operation: "create table \(table.name)", message: "not a valid table name")
        }
        if try await warehouse.createTable(reference, table.table) {
            record(SchemaChanges(tablesCreated: 1))
        } else if policy.addsColumns {
            try await bringUpToDate(table, in: dataset, told: [])
        } else {
            var plan = SchemaPlan(dataset: dataset)
            try await SchemaPlanner(warehouse: warehouse, tables: [table]).add(table, to: &plan)
            record(SchemaChanges(conflicts: plan.conflicts, leftOut: plan.additions))
        }
    }

    /// Reads, compares and updates until the table stands still.
    /// - Parameter told: Conflicts that were reported before.
    private func bringUpToDate(_ table: NamedTable, in dataset: Dataset, told: [TableConflict]) async throws {
        let planner = SchemaPlanner(warehouse: warehouse, tables: [table])
        var told = told
        for _ in 1...Self.rounds {
            try Task.checkCancellation()
            var plan = SchemaPlan(dataset: dataset)
            try await planner.add(table, to: &plan)
            guard plan.newTables.isEmpty else { break }
            record(SchemaChanges(conflicts: plan.conflicts.filter { !told.contains($0) }))
            told += plan.conflicts
            guard let addition = plan.additions.first else { return }
            if try await update(addition, in: dataset) { return }
        }
        throw WarehouseError(
            .preconditionFailed, operation: "update table \(dataset.id).\(table.name)",
            message: "somebody else keeps changing it; run the job again")
    }

    /// - Returns: `false` if the table is no longer in the version that was read.
    private func update(_ addition: TableAddition, in dataset: Dataset) async throws -> Bool {
        guard let reference = TableReference(dataset.id, addition.table.name) else { return false }
        do {
            try await warehouse.updateSchema(of: reference, to: addition.diff.merged, ifMatch: addition.etag)
        } catch let error as WarehouseError where error.code == .preconditionFailed || error.code == .alreadyExists {
            // The version that is no longer there may have become ours, by an attempt whose reply was lost.
            guard error.certainty != .notDone, try await hasAll(of: addition.diff.merged, reference) else {
                return false
            }
        }
        let relaxed = addition.diff.relaxed.map { "\(reference).\($0)" }
        record(SchemaChanges(tablesUpdated: 1, columnsAdded: addition.diff.additions.count, relaxed: relaxed))
        return true
    }

    private func hasAll(of fields: [FieldSchema], _ reference: TableReference) async throws -> Bool {
        guard let actual = try await warehouse.table(reference) else { return false }
        var expected = actual
        expected.schema.fields = fields
        return SchemaDiff(expected: expected, actual: actual).isConforming
    }
}
