import Foundation
import JobRuntime
import Warehouse

@testable import BigQueryWarehouse

/// The shape of a table is read as a table that BigQuery could show, or not at all.
enum SurveyProperties {
    static func check(_ input: Data) throws {
        let shape = String(decoding: input, as: UTF8.self)
        _ = SurveyedTable.defaults(shape)
        guard let table = SurveyedTable.table(shape) else { return }
        let names = table.schema.fields.map { $0.name.lowercased() }
        try hold(Set(names).count == names.count, "the columns \(names)")
        try hold(table.type == "TABLE" || table.schema.fields.isEmpty, "a \(table.type ?? "") with columns")
        // A number with leading zeros becomes one without them, so the first round may change the text.
        let once = try round(table)
        try hold(try round(once) == once, "\(once) reads differently")
        for field in table.schema.fields { try hold(!field.sqlType.isEmpty, "\(field.name) has no type") }
    }

    private static func round(_ table: Table) throws -> Table {
        try JSONDecoder().decode(Table.self, from: JSONEncoder().encode(table))
    }
}
