import HTTPTransport
package import Warehouse

/// Applies a plan to the warehouse, which may have changed since the plan was made.
///
/// Each step is safe to repeat and to race. A resource that exists is read and completed instead of created. A schema is
/// replaced only in the version that was read; otherwise the table is read and compared again. If a run is killed between two
/// steps, the next run completes the dataset.
package struct SchemaApplier: Sendable {
    package var warehouse: any SchemaWarehouse
    package var policy: SchemaPolicy
    /// Kinds of differences that are closed in place.
    package var applied: Set<SchemaDifference.Kind>
    /// The changes that may be made to a table that another client changed or created meanwhile.
    package var approval: Approval
    /// Is called after every step, so that a run that is stopped or fails has counted what it did.
    package var record: @Sendable (SchemaChanges) -> Void

    /// How often a table that others keep changing is read again before the run gives up on it.
    private static let rounds = 5

    package init(
        warehouse: any SchemaWarehouse, policy: SchemaPolicy, applied: Set<SchemaDifference.Kind> = [],
        approval: Approval = .none, record: @escaping @Sendable (SchemaChanges) -> Void
    ) {
        self.applied = applied
        self.approval = approval
        self.warehouse = warehouse
        self.policy = policy
        self.record = record
    }

    /// A table that the warehouse refused. The other tables of the plan got their turn.
    package struct Refusal: Sendable {
        package let table: String
        package let error: WarehouseError
    }

    /// Stops between two steps when the task is cancelled. The caller reports the plan's own differences.
    ///
    /// - Returns: The tables that were refused. An error that concerns more than one table is thrown: the dataset cannot be
    ///   created, the server is in trouble, or the run has to end.
    package func apply(_ plan: SchemaPlan) async throws -> [Refusal] {
        var isNew = false
        if plan.createsDataset { isNew = try await create(plan.dataset) }
        var refusals: [Refusal] = []
        var newTables = plan.newTables
        if policy.createsByScript && newTables.count > 1 {
            // A dataset that somebody else created meanwhile may have some of the tables, and a script adds no columns to them.
            let mayHaveTables = plan.createsDataset && !isNew
            let present = mayHaveTables ? Set(try await warehouse.tables(in: plan.dataset.id)) : []
            refusals += try await createByScript(newTables.filter { !present.contains($0.name) }, in: plan.dataset)
            newTables.removeAll { !present.contains($0.name) }
        }
        refusals += try await createEach(newTables, in: plan.dataset)
        for addition in plan.additions {
            try Task.checkCancellation()
            let refusal = try await attempt(addition.table) {
                let isUpdated = try await update(addition, in: plan.dataset)
                guard !isUpdated || !applied.isEmpty else { return }
                try await complete(
                    addition.table, in: plan.dataset, reported: plan.differences, isCounted: isUpdated)
            }
            if let refusal { refusals.append(refusal) }
        }
        let extended = Set(plan.additions.map(\.table.name))
        for change in plan.updates where !extended.contains(change.table.name) {
            try Task.checkCancellation()
            let refusal = try await attempt(change.table) {
                guard try await !update(change, in: plan.dataset) else { return }
                try await complete(change.table, in: plan.dataset, reported: plan.differences)
            }
            if let refusal { refusals.append(refusal) }
        }
        return refusals
    }

    /// Works on one table. A refusal concerns this table alone; every other error is thrown.
    private func attempt(_ table: NamedTable, _ work: () async throws -> Void) async throws -> Refusal? {
        do {
            try await work()
            return nil
        } catch let error as WarehouseError where !error.isRetryable && !error.endsRun {
            return Refusal(table: table.name, error: error)
        }
    }

    /// - Returns: `false` if the dataset exists already.
    private func create(_ dataset: Dataset) async throws -> Bool {
        var refusal: WarehouseError?
        do {
            if try await warehouse.createDataset(dataset) {
                record(SchemaChanges(datasetsCreated: 1))
                return true
            }
        } catch let error as WarehouseError where error.code == .accessDenied {
            // An account that may not create datasets can still use one that exists and that the survey did not show.
            refusal = error.withAdvice(
                "run create-all-jobs.sh, which creates it, or grant bigquery.datasets.create")
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
        if let misplaced = existing.misplacement(wanted: dataset) { throw misplaced }
        return false
    }

    /// Creates tables by one script. After a table that the warehouse refuses, the script is sent again with the tables behind
    /// it.
    private func createByScript(_ tables: [NamedTable], in dataset: Dataset) async throws -> [Refusal] {
        var refusals: [Refusal] = []
        var rest = tables
        while !rest.isEmpty {
            try Task.checkCancellation()
            do {
                try await warehouse.createTables(rest, in: dataset.id, at: dataset.location)
                record(SchemaChanges(tablesCreated: rest.count))
                return refusals
            } catch let error as WarehouseError where !error.isRetryable && !error.endsRun {
                // The statements before the failed one are done. If they cannot be counted, the script's own error still counts.
                guard let present = try? await Set(warehouse.tables(in: dataset.id)) else { throw error }
                let missing = rest.filter { !present.contains($0.name) }
                record(SchemaChanges(tablesCreated: rest.count - missing.count))
                guard error.code == .invalid, let first = missing.first else { throw error }
                if missing.count == rest.count, missing.count > 1 {
                    // Nothing was created: the script stopped at its first table, or its text was refused as a whole.
                    guard let refusal = try await createAlone(first, in: dataset) else {
                        return refusals + (try await createEach(Array(missing.dropFirst()), in: dataset))
                    }
                    refusals.append(refusal)
                } else {
                    refusals.append(Refusal(table: first.name, error: error))
                }
                rest = Array(missing.dropFirst())
            }
        }
        return refusals
    }

    private func createAlone(_ table: NamedTable, in dataset: Dataset) async throws -> Refusal? {
        try await attempt(table) {
            try await warehouse.createTables([table], in: dataset.id, at: dataset.location)
            record(SchemaChanges(tablesCreated: 1))
        }
    }

    private func createEach(_ tables: [NamedTable], in dataset: Dataset) async throws -> [Refusal] {
        try await withThrowingTaskGroup(of: Refusal?.self) { group in
            for table in tables {
                group.addTask { try await attempt(table) { try await create(table, in: dataset) } }
            }
            var refusals: [Refusal] = []
            for try await refusal in group.compactMap(\.self) { refusals.append(refusal) }
            return refusals.sorted { $0.table < $1.table }
        }
    }

    private func create(_ table: NamedTable, in dataset: Dataset) async throws {
        guard let reference = TableReference(dataset.id, table.name) else {
            throw WarehouseError(.invalid, operation: "create table \(table.name)", message: "not a valid table name")
        }
        if try await warehouse.createTable(reference, table.table) {
            record(SchemaChanges(tablesCreated: 1))
        } else if policy.addsColumns {
            try await complete(table, in: dataset, reported: [])
        } else {
            var plan = SchemaPlan(dataset: dataset)
            try await SchemaPlanner(warehouse: warehouse, tables: [table]).add(table, to: &plan)
            record(SchemaChanges(differences: plan.differences, leftOut: plan.additions))
        }
    }

    /// Reads, compares and updates the table until the updates succeed or nothing is left to do.
    /// - Parameters:
    ///   - reported: Differences that were reported before.
    ///   - isCounted: Whether the table counts as updated already.
    private func complete(
        _ table: NamedTable, in dataset: Dataset, reported: [TableDifference], isCounted: Bool = false
    ) async throws {
        let planner = SchemaPlanner(warehouse: warehouse, tables: [table], applied: applied, approval: approval)
        var reported = reported
        var isCounted = isCounted
        for _ in 1...Self.rounds {
            try Task.checkCancellation()
            var plan = SchemaPlan(dataset: dataset)
            try await planner.add(table, to: &plan)
            guard plan.newTables.isEmpty else { break }
            record(SchemaChanges(differences: plan.differences.filter { !reported.contains($0) }))
            reported += plan.differences
            if let addition = plan.additions.first {
                guard try await update(addition, in: dataset) else { continue }
                if applied.isEmpty { return }
                isCounted = true
            } else {
                guard let change = plan.updates.first else { return }
                if try await update(change, in: dataset, isCounted: isCounted) { return }
            }
        }
        throw WarehouseError(
            .preconditionFailed, operation: "update table \(dataset.id).\(table.name)",
            message: "somebody else keeps changing it; run the job again")
    }

    /// - Returns: `false` if the table changed since it was read.
    private func update(_ addition: TableAddition, in dataset: Dataset) async throws -> Bool {
        guard let reference = TableReference(dataset.id, addition.table.name) else { return false }
        do {
            try await warehouse.updateSchema(of: reference, to: addition.diff.merged, ifMatch: addition.etag)
        } catch let error as WarehouseError where error.code == .preconditionFailed || error.code == .alreadyExists {
            // The table may have changed by our own attempt, whose reply was lost.
            guard error.certainty != .notDone, try await table(reference, has: addition.diff.merged) else {
                return false
            }
        }
        let relaxed = addition.diff.relaxed.map { "\(reference).\($0)" }
        record(SchemaChanges(tablesUpdated: 1, columnsAdded: addition.diff.additions.count, relaxed: relaxed))
        return true
    }

    /// - Parameter isCounted: Whether the table counts as updated already.
    /// - Returns: `false` if the table changed since it was read.
    private func update(_ update: TableUpdate, in dataset: Dataset, isCounted: Bool = false) async throws -> Bool {
        guard let reference = TableReference(dataset.id, update.table.name) else { return false }
        do {
            try await warehouse.update(reference, with: update.change, ifMatch: update.etag)
        } catch let error as WarehouseError where error.code == .preconditionFailed {
            // The table may have changed by our own attempt, whose reply was lost.
            guard error.certainty != .notDone, let actual = try await warehouse.table(reference) else { return false }
            let open = Set(SchemaDiff(expected: update.table.table, actual: actual).differences)
            guard !update.closed.contains(where: { open.contains($0.difference) }) else { return false }
        }
        record(SchemaChanges(tablesChanged: isCounted ? 0 : 1, closed: update.closed))
        return true
    }

    private func table(_ reference: TableReference, has fields: [FieldSchema]) async throws -> Bool {
        guard let actual = try await warehouse.table(reference) else { return false }
        var expected = actual
        expected.schema.fields = fields
        return SchemaDiff(expected: expected, actual: actual).isConforming
    }
}
