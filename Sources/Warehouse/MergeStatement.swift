/// Changes the rows of a table that differ from a SELECT, and inserts the missing rows.
///
/// ```swift
/// let merge = MergeStatement(
///     "correct the limits", into: table, from: "SELECT 'acme' AS org_slug, 5 AS seats", keys: ["org_slug"], scope: "TRUE",
///     compared: ["seats"], stamped: [], inserted: ["org_slug", "seats"], parameters: [])
/// let result = try await warehouse.merge(merge)
/// ```
///
/// BigQuery runs it as one MERGE, SQLite as two statements in one transaction. The table has the alias `t` and the SELECT the
/// alias `s`. If several rows of the table match one row of the SELECT, all of them change. If a row of the table matches several
/// rows of the SELECT, the statement fails as `invalid` (fact BQ-17).
package struct MergeStatement: Sendable {
    /// The work of the statement in words, for logs and errors.
    package var purpose: String
    package var target: TableReference
    /// A SELECT whose columns have the names of the table's columns.
    package var source: String
    /// The columns in which a row of the SELECT agrees with its rows of the table.
    package var keys: [String]
    /// A condition on `t` and parameters that limits the statement to a few partitions. Rows outside of it count as missing.
    package var scope: String
    /// The columns that are compared. A row changes only if one of them differs; NULL equals NULL.
    package var compared: [String]
    /// Columns with numbers that a change may raise but never lower. NULL counts as 0.
    package var raised: [String]
    /// Columns that are also written in a row that changes.
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

    /// A SELECT of the rows that the merge would change: one row with the counts `missing` and `differing`.
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

    /// The same merge without changes: it only inserts missing rows.
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

/// The numbers of rows that a merge inserted and changed.
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
