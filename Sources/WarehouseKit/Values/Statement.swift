/// One GoogleSQL statement or script with its named parameters.
///
/// Identifiers inside `sql` come from validated types only (``DatasetID``, ``TableReference``); every other value is a
/// parameter. Tables are written `` `dataset.table` ``, which both warehouses read.
package struct Statement: Sendable {
    /// What the statement does, in words, for logs and errors: "list the active organizations".
    package var purpose: String
    package var sql: String
    package var parameters: [SQLValue.Field]

    package init(_ purpose: String, _ sql: String, parameters: KeyValuePairs<String, SQLValue> = [:]) {
        self.purpose = purpose
        self.sql = sql
        self.parameters = parameters.map { SQLValue.Field($0.key, $0.value) }
    }
}
