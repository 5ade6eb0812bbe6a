package import JobRuntime

/// A warehouse whose billed bytes add up in the run's summary, as `bytes_billed`.
///
/// A dataset or table that is missing ends in the advice to run bootstrap, which makes all that these statements read.
package struct MeteredWarehouse: Sendable {
    private let warehouse: any Warehouse
    private let report: RunReport

    package init(_ warehouse: any Warehouse, _ report: RunReport) {
        self.warehouse = warehouse
        self.report = report
    }

    package func query(_ statement: Statement) async throws -> QueryResult {
        let result = try await advising { try await warehouse.query(statement) }
        report.add(Int(result.bytesBilled), to: "bytes_billed")
        return result
    }

    package func merge(_ statement: MergeStatement) async throws -> MergeResult {
        let result = try await advising { try await warehouse.merge(statement) }
        report.add(Int(result.bytesBilled), to: "bytes_billed")
        return result
    }

    private func advising<Value>(_ run: () async throws -> Value) async throws -> Value {
        do {
            return try await run()
        } catch let error as WarehouseError where error.code == .notFound && !error.isOfMissingJob {
            var error = error
            error.message += " - run bootstrap first"
            throw error
        }
    }
}
