/// Which changes a job may make.
package enum SchemaPolicy: Sendable, Hashable {
    /// bootstrap: datasets and tables; columns that are missing are reported.
    case create
    /// bootstrap-sync: columns; datasets and tables that are missing are reported.
    case addColumns
    /// org-sync-all. `byScript`: several missing tables of a dataset are created by one script instead of a request each,
    /// which takes the server longer, but BigQuery takes only ten `tables.insert` a second.
    case everything(byScript: Bool)

    var addsColumns: Bool { self != .create }
    var createsByScript: Bool { self == .everything(byScript: true) }
}
