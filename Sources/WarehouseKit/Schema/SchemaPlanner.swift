/// Turns the hints of a survey into a plan, by reading each table that seems to differ.
package struct SchemaPlanner: Sendable {
    package var warehouse: any Warehouse
    package var tables: [NamedTable]

    package init(warehouse: any Warehouse, tables: [NamedTable]) {
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
