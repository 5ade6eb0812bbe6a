#if EmbeddedWarehouse
    import GRDB

    /// A merge as SQLite runs it, within one transaction: the rows of the SELECT go into a temporary table first, so that the
    /// changes do not show in what is still to be read.
    struct EmbeddedMerge {
        private let merge: MergeStatement

        init(_ merge: MergeStatement) {
            self.merge = merge
        }

        func run(in database: Database) throws -> MergeResult {
            try execute("DROP TABLE IF EXISTS temp.merge_source", in: database)
            try execute("CREATE TEMPORARY TABLE merge_source AS SELECT * FROM (\(merge.source))", in: database)
            try rejectAmbiguousRows(in: database)
            var (updated, inserted): (Int64, Int64) = (0, 0)
            if merge.changesRows {
                updated = try execute(
                    """
                    UPDATE \(merge.target.sql) AS t SET \(merge.assignments) FROM temp.merge_source AS s
                    WHERE \(merge.match) AND \(merge.scope) AND (\(merge.difference))
                    """, in: database)
            }
            if !merge.inserted.isEmpty {
                inserted = try execute(
                    """
                    INSERT INTO \(merge.target.sql) (\(merge.insertedColumns)) SELECT \(merge.insertedValues)
                    FROM temp.merge_source AS s LEFT JOIN \(merge.target.sql) AS t ON \(merge.match) AND \(merge.scope)
                    WHERE t.rowid IS NULL
                    """, in: database)
            }
            try execute("DROP TABLE temp.merge_source", in: database)
            return MergeResult(inserted: inserted, updated: updated)
        }

        private func rejectAmbiguousRows(in database: Database) throws {
            let keys = merge.keys.map { "s.`\($0)`" }.joined(separator: ", ")
            let ambiguous = try EmbeddedQuery(database).run(
                SQLiteScript.Part(
                    sql: try rewritten(
                        """
                        SELECT 1 FROM (SELECT \(keys) FROM temp.merge_source AS s GROUP BY \(keys) HAVING COUNT(*) > 1) AS s
                        JOIN \(merge.target.sql) AS t ON \(merge.match) AND \(merge.scope) LIMIT 1
                        """), isChange: false), try EmbeddedQuery.bindings(of: merge.statement("")))
            guard ambiguous.rows.isEmpty else {
                throw WarehouseError(
                    .invalid, operation: merge.purpose,
                    message: "UPDATE/MERGE must match at most one source row for each target row")
            }
        }

        @discardableResult
        private func execute(_ sql: String, in database: Database) throws -> Int64 {
            let part = SQLiteScript.Part(sql: try rewritten(sql), isChange: true)
            let result = try EmbeddedQuery(database).run(part, try EmbeddedQuery.bindings(of: merge.statement("")))
            return result.affectedRows ?? 0
        }

        private func rewritten(_ sql: String) throws -> String {
            let types = Dictionary(
                merge.parameters.map { ($0.name, $0.value.type) }, uniquingKeysWith: { first, _ in first })
            var rewriter = SQLiteRewriter(try SQLTokenizer.tokens(of: sql), parameters: types)
            return try rewriter.rewritten()
        }
    }
#endif
