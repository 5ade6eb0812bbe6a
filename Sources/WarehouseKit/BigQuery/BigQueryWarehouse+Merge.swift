extension BigQueryWarehouse {
    package func merge(_ merge: MergeStatement) async throws -> MergeResult {
        let result = try await run(merge.statement(Self.sql(of: merge)), scope: .project, countingRows: true)
        if result.affectedRows == 0 { return MergeResult(inserted: 0, updated: 0, bytesBilled: result.bytesBilled) }
        guard let counts = result.rowCounts else {
            var error = WarehouseError(
                .unexpectedResult, operation: merge.purpose, message: "the reply does not say what was changed")
            error.mayHaveBeenDone = true
            throw error
        }
        return MergeResult(
            inserted: counts.insertedRowCount.flatMap { Int64($0) } ?? 0,
            updated: counts.updatedRowCount.flatMap { Int64($0) } ?? 0, bytesBilled: result.bytesBilled)
    }

    static func sql(of merge: MergeStatement) -> String {
        var sql = """
            MERGE \(merge.target.sql) AS t
            USING (\(merge.source)) AS s
            ON \(merge.match) AND \(merge.scope)
            """
        if merge.changesRows {
            sql += "\nWHEN MATCHED AND (\(merge.difference)) THEN UPDATE SET \(merge.assignments)"
        }
        if !merge.inserted.isEmpty {
            sql += "\nWHEN NOT MATCHED THEN INSERT (\(merge.insertedColumns)) VALUES (\(merge.insertedValues))"
        }
        return sql
    }
}
