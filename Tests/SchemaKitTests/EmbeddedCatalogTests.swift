import Foundation
import TestSupport
import Testing

@testable import BigQueryWarehouse
@testable import SchemaKit
@testable import Warehouse
@testable import WarehouseKit

@Suite struct EmbeddedCatalogTests {
    private static let folder = Repository.path("Sources/SchemaKit/Catalog/Tables")

    @Test(arguments: [(Catalog.Group.organizations, 21), (.organization, 19), (.operations, 7)])
    func hasEveryFileOfTheFolderAndNoOther(_ group: Catalog.Group, _ count: Int) throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: "\(Self.folder)/\(group.rawValue)").sorted()

        let embedded = try Catalog.embedded([group]).tables(group)

        #expect(embedded.map { "\($0.name).json" } == files)
        #expect(embedded == (try Catalog(directory: Self.folder, [group]).tables(group)))
        #expect(embedded.count == count)
    }

    /// An embedded warehouse makes an SQLite table of each of them at once, which other programs fill.
    @Test func noTwoTablesThatBootstrapCreatesAreAlike() throws {
        let catalog = try Catalog.embedded([.organizations, .operations])
        let tables = (catalog.tables(.organizations) + catalog.tables(.operations)).map(\.table)

        #expect(Set(tables).count == 28)
    }

    @Test func hasNoOtherGroup() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.folder)

        #expect(Set(folders) == Set(Catalog.Group.allCases.map(\.rawValue)))
    }

    @Test(arguments: Catalog.Group.allCases)
    func describesEveryTableAndColumn(_ group: Catalog.Group) throws {
        for table in try Catalog.embedded([group]).tables(group) {
            #expect(table.table.description?.isEmpty == false, "\(table.name)")
            #expect(undescribed(table.table.schema.fields).isEmpty, "\(table.name)")
            // https://cloud.google.com/bigquery/quotas: 16,384 characters for a table, 1,024 for a column.
            #expect(longestDescription(table.table.schema.fields) <= 1024)
        }
    }

    @Test(arguments: Catalog.Group.allCases)
    func canBeCreatedByScript(_ group: Catalog.Group) throws {
        #expect(try Catalog.embedded([group]).tables(group).allSatisfy { TableDDL.canExpress($0.table) })
    }

    @Test func readsOnlyTheGroupsThatAreWanted() throws {
        let catalog = try Catalog.embedded([.operations])

        #expect(catalog.tables(.operations).count == 7)
        #expect(catalog.tables(.organizations).isEmpty)
    }

    private func undescribed(_ fields: [FieldSchema]) -> [String] {
        fields.flatMap { field in
            (field.description?.isEmpty == false ? [] : [field.name]) + undescribed(field.fields)
        }
    }

    private func longestDescription(_ fields: [FieldSchema]) -> Int {
        fields.map { max($0.description?.count ?? 0, longestDescription($0.fields)) }.max() ?? 0
    }
}
