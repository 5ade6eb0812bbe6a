import FoundationEssentials
import QuotaKit
import SchemaKit
import TestSupport
import Warehouse
import WarehouseKit

extension QuotaFixture {
    /// Tables that were made without some columns; bootstrap-sync has added them since, as NULLABLE.
    init(widened columns: [String: Set<String>], _ backend: Backend, _ project: String) async throws {
        let catalog = try Catalog.embedded([.organizations, .operations])
        var files: [Catalog.Group: [CatalogFile]] = [:]
        for group in [Catalog.Group.organizations, .operations] {
            files[group] = try catalog.tables(group).map { named in
                var table = named.table
                table.schema.fields.removeAll { columns[named.name]?.contains($0.name) == true }
                return CatalogFile(name: named.name, path: named.name, contents: try JSONEncoder().encode(table))
            }
        }
        try await self.init(backend.warehouse(project), catalog: Catalog(files))
        try await Bootstrap(
            warehouse: warehouse, catalog: catalog, environment: .test, report: ReportFixture().report
        ).addColumns()
    }
}
