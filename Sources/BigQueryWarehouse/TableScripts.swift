import JobRuntime
package import Warehouse

extension BigQueryWarehouse {
    /// Creates tables by scripts of `CREATE TABLE IF NOT EXISTS` (facts BQ-10 and BQ-11). A table that DDL cannot express is created by `tables.insert`.
    package func createTables(_ tables: [NamedTable], in dataset: DatasetID, at location: String) async throws {
        let references = tables.compactMap { table in
            TableReference(dataset, table.name).map { (reference: $0, table: table.table) }
        }
        let (scripted, others) = references.split { TableDDL.canExpress($0.table) }
        for other in others { _ = try await createTable(other.reference, other.table) }
        for part in Self.scripts(of: scripted.map { TableDDL.statement($0.reference, $0.table) }) {
            let script = Statement(
                "create \(part.count) tables in \(dataset)", part.joined(separator: "\n"))
            // IF NOT EXISTS may fail if another client creates the same table at that moment. On the retry, the table exists.
            _ = try await RetryPolicy(attempts: 5, budget: .seconds(60)).run(
                on: api.time, decide: { ($0 as? WarehouseError)?.code == .alreadyExists ? .retry() : .stop }
            ) { _ in
                try await whileNotVisible(dataset) { try await run(script, location: location, scope: .dataset) }
            }
        }
        for table in scripted { created.insert(table.reference) }
    }

    /// A query may have at most 1,024 k characters: https://cloud.google.com/bigquery/quotas#query_jobs
    static let charactersPerScript = 500_000

    private static func scripts(of statements: [String]) -> [[String]] {
        var scripts: [[String]] = []
        var size = 0
        for statement in statements {
            if scripts.isEmpty || size + statement.utf8.count > charactersPerScript {
                scripts.append([])
                size = 0
            }
            scripts[scripts.count - 1].append(statement)
            size += statement.utf8.count
        }
        return scripts
    }
}

extension Array {
    /// Returns the elements that satisfy the condition and the others, both in their original order.
    func split(_ condition: (Element) throws -> Bool) rethrows -> (matching: [Element], others: [Element]) {
        (try filter(condition), try filter { try !condition($0) })
    }
}
