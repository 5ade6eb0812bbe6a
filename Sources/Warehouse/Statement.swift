/// One GoogleSQL statement or script with its named parameters.
///
/// ```swift
/// let statement = Statement(
///     "find an organization", "SELECT status FROM `organizations.org_profiles` WHERE org_slug = @slug",
///     parameters: ["slug": .string(slug)])
/// ```
///
/// Identifiers in `sql` come only from validated types (``DatasetID``, ``TableReference``). Every other value is a parameter.
/// Tables are written as `` `dataset.table` ``, which both warehouses read.
package struct Statement: Sendable {
    /// The work of the statement in words, for logs and errors: "list the active organizations".
    package var purpose: String
    package var sql: String
    package var parameters: [SQLValue.Field]
    /// The most rows in one reply of BigQuery; with `nil` BigQuery fills up to 10 MB.
    package var rowsPerPage: Int?
    /// Whether the statement is sent once more if BigQuery does not find a dataset. A caller that asks for the dataset itself
    /// says no.
    package var confirmsMissingDataset = true

    package init(_ purpose: String, _ sql: String, parameters: KeyValuePairs<String, SQLValue> = [:]) {
        self.purpose = purpose
        self.sql = sql
        self.parameters = parameters.map { SQLValue.Field($0.key, $0.value) }
    }
}

/// The complete result of a statement, all pages of it.
package struct QueryResult: Sendable {
    package var rows: [Row]
    /// The number of rows that a DML statement inserted, updated or deleted; `nil` for other statements.
    package var affectedRows: Int64?
    /// Billed bytes as BigQuery counts them; 0 on the embedded warehouse.
    package var bytesBilled: Int64

    /// The affected rows by kind; `nil` if the warehouse did not report them.
    package var rowCounts: RowCounts?

    package init(rows: [Row] = [], affectedRows: Int64? = nil, bytesBilled: Int64 = 0) {
        self.rows = rows
        self.affectedRows = affectedRows
        self.bytesBilled = bytesBilled
    }
}

/// BigQuery's `DmlStats`: the affected rows of a DML statement by kind (fact BQ-18).
package struct RowCounts: Decodable, Hashable, Sendable {
    package var insertedRowCount: String?
    package var updatedRowCount: String?
}
