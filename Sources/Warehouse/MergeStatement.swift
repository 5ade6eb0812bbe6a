/// Brings rows of a table to what a SELECT says: rows that differ are changed, rows that are missing are inserted.
///
/// A statement of its own on BigQuery (MERGE), two in one transaction on SQLite. Within it the table goes by the alias `t`
/// and the SELECT by `s`. Several rows of the table may match one row of the SELECT, and all of them are changed; where a row of
/// the table matches several rows of the SELECT, the statement fails as `invalid`.
package struct MergeStatement: Sendable {
    /// What the statement does, in words, for logs and errors.
    package var purpose: String
    package var target: TableReference
    /// A SELECT whose columns have the names of the table's.
    package var source: String
    /// The columns in which a row of the SELECT agrees with its rows of the table.
    package var keys: [String]
    /// A condition on `t` and parameters that keeps the statement to a few partitions. Rows outside of it count as missing.
    package var scope: String
    /// A row is changed only where one of these differs; NULL equals NULL.
    package var compared: [String]
    /// Numbers that a change may raise but never lower, NULL being 0.
    package var raised: [String]
    /// Written along with `compared` where a row is changed.
    package var stamped: [String]
    /// The columns of a new row.
    package var inserted: [String]
    package var parameters: [SQLValue.Field]

    package init(
        _ purpose: String, into target: TableReference, from source: String, keys: [String], scope: String,
        compared: [String], raised: [String] = [], stamped: [String], inserted: [String],
        parameters: [SQLValue.Field]
    ) {
        self.purpose = purpose
        self.target = target
        self.source = source
        self.keys = keys
        self.scope = scope
        self.compared = compared
        self.raised = raised
        self.stamped = stamped
        self.inserted = inserted
        self.parameters = parameters
    }

    /// What ``Warehouse/merge(_:)`` would do, without doing it: one row with the counts `missing` and `differing`.
    package var preview: Statement {
        let columns = Set(keys + compared + raised).sorted().map { "t.`\($0)`" }.joined(separator: ", ")
        return statement(
            """
            SELECT
              COUNTIF(t.`\(keys[0])` IS NULL) AS missing,
              COUNTIF(t.`\(keys[0])` IS NOT NULL AND (\(difference))) AS differing
            FROM (\(source)) AS s
            LEFT JOIN (SELECT \(columns) FROM \(target.sql) AS t WHERE \(scope)) AS t ON \(match)
            """)
    }

    /// The same without changing any row: only what is missing is inserted.
    package var insertingOnly: MergeStatement {
        var merge = self
        (merge.compared, merge.raised, merge.stamped) = ([], [], [])
        return merge
    }

    package var changesRows: Bool { !compared.isEmpty || !raised.isEmpty }
    package var match: String { keys.map { "t.`\($0)` = s.`\($0)`" }.joined(separator: " AND ") }
    package var difference: String {
        (compared.map { "t.`\($0)` IS DISTINCT FROM s.`\($0)`" } + raised.map(isLower)).joined(separator: " OR ")
    }
    package var assignments: String {
        (compared.map { "`\($0)` = s.`\($0)`" } + raised.map { "`\($0)` = IF(\(isLower($0)), s.`\($0)`, t.`\($0)`)" }
            + stamped.map { "`\($0)` = s.`\($0)`" }).joined(separator: ", ")
    }
    package var insertedColumns: String { inserted.map { "`\($0)`" }.joined(separator: ", ") }
    package var insertedValues: String { inserted.map { "s.`\($0)`" }.joined(separator: ", ") }

    private func isLower(_ column: String) -> String { "IFNULL(t.`\(column)`, 0) < s.`\(column)`" }

    package func statement(_ sql: String) -> Statement {
        var statement = Statement(purpose, sql)
        statement.parameters = parameters
        return statement
    }
}

/// What a merge did to the rows of its table.
package struct MergeResult: Hashable, Sendable {
    package var inserted: Int64
    package var updated: Int64
    package var bytesBilled: Int64

    package init(inserted: Int64, updated: Int64, bytesBilled: Int64 = 0) {
        self.inserted = inserted
        self.updated = updated
        self.bytesBilled = bytesBilled
    }
}
