/// Everything a statement returned, all pages of it.
package struct QueryResult: Sendable {
    package var rows: [Row]
    /// Rows that a DML statement inserted, updated or deleted; `nil` for anything else.
    package var affectedRows: Int64?
    /// Billed bytes as BigQuery counts them; 0 on the embedded warehouse.
    package var bytesBilled: Int64

    /// Affected rows by kind, where the warehouse said so.
    var rowCounts: RowCounts?

    package init(rows: [Row] = [], affectedRows: Int64? = nil, bytesBilled: Int64 = 0) {
        self.rows = rows
        self.affectedRows = affectedRows
        self.bytesBilled = bytesBilled
    }
}
