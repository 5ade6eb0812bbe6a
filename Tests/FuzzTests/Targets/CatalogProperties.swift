import Foundation
import Warehouse

@testable import SchemaKit

/// A file that was accepted can be written as a table, and that file is accepted and gives the same table. A refusal names the file.
enum CatalogProperties {
    static func check(_ input: Data) throws {
        let table: NamedTable
        do {
            table = try file(input).table()
        } catch {
            try hold(!error.problems.isEmpty, "a refusal without a problem")
            for problem in error.problems { try hold(problem.utf8.starts(with: "events.json: ".utf8), problem) }
            return
        }
        let written = try JSONEncoder().encode(table.table)
        let text = String(decoding: written, as: UTF8.self)
        do {
            try hold(try file(written).table() == table, "\(text) reads differently")
        } catch let error as CatalogError {
            throw Violation(description: "\(text) is refused: \(error.problems)")
        }
    }

    private static func file(_ contents: Data) -> CatalogFile {
        CatalogFile(name: "events", path: "events.json", contents: contents)
    }
}
