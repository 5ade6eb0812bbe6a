/// One GoogleSQL statement or script with its named parameters.
///
/// Identifiers inside `sql` come from validated types only (``DatasetID``, ``TableReference``); every other value is a
/// parameter. Tables are written `` `dataset.table` ``, which both warehouses read.
package struct Statement: Sendable {
    /// What the statement does, in words, for logs and errors: "list the active organizations".
    package var purpose: String
    package var sql: String
    package var parameters: [SQLValue.Field]
    /// The most rows in one reply of BigQuery; `nil` leaves that to BigQuery, which fills up to 10 MB.
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

/// Everything a statement returned, all pages of it.
package struct QueryResult: Sendable {
    package var rows: [Row]
    /// Rows that a DML statement inserted, updated or deleted; `nil` for anything else.
    package var affectedRows: Int64?
    /// Billed bytes as BigQuery counts them; 0 on the embedded warehouse.
    package var bytesBilled: Int64

    /// Affected rows by kind, where the warehouse said so.
    package var rowCounts: RowCounts?

    package init(rows: [Row] = [], affectedRows: Int64? = nil, bytesBilled: Int64 = 0) {
        self.rows = rows
        self.affectedRows = affectedRows
        self.bytesBilled = bytesBilled
    }
}

/// BigQuery's `DmlStats`: what a DML statement did, by kind.
package struct RowCounts: Decodable, Hashable, Sendable {
    package var insertedRowCount: String?
    package var updatedRowCount: String?
}
