import JobRuntime
import Warehouse
import WarehouseKit

/// The names of two columns of `org_usage_quotas` differ between warehouses. The catalog follows the warehouse, so that no table
/// gets a second pair of counters that nobody reads.
///
/// ```swift
/// let catalog = try await catalog.following(columns, of: warehouse, report)
/// ```
extension Catalog {
    /// The catalog with the names that the environment chooses, or else those that the table has. If the table has columns of
    /// both pairs, that is a failure of its own, and neither pair is compared.
    ///
    /// Reads the table, unless the environment names the columns.
    func following(
        _ columns: QuotaColumns, of warehouse: any SchemaWarehouse, _ report: RunReport
    ) async throws -> Catalog {
        let table = QuotaColumns.table
        let place = groups[.organizations]?.firstIndex { $0.name == table.table }
        guard let place else { return self }
        let existing = columns.isChosen ? [] : try await warehouse.table(table)?.schema.fields.map(\.name) ?? []
        var catalog = self
        do {
            let pair = try columns.pair(in: existing)
            catalog.rename(in: place) { name in
                switch name {
                case QuotaColumns.standard.daily: pair.daily
                case QuotaColumns.standard.monthly: pair.monthly
                default: name
                }
            }
        } catch let failure as RunFailure {
            report.fail(failure.operation, failure.reason)
            catalog.rename(in: place) { QuotaColumns.standard.names.contains($0) ? nil : $0 }
        }
        return catalog
    }

    /// Gives the fields of a table other names. A field without a new name goes.
    private mutating func rename(in place: Int, _ name: (String) -> String?) {
        groups[.organizations]![place].table.schema.fields = groups[.organizations]![place].table.schema.fields
            .compactMap { field in
                name(field.name).map {
                    var renamed = field
                    renamed.name = $0
                    return renamed
                }
            }
    }
}
