import Foundation
import JobRuntime
import SchemaKit
import Warehouse

/// The catalog's files in a folder of their own, where a release can change them, and the operator's credentials beside them.
struct ReleasedCatalogs {
    let folder: String
    let credentials: String
    private let base: Catalog
    private(set) var current: Catalog

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "simulation-\(getpid())").path
        credentials = folder + "-credentials.json"
        base = try Catalog.embedded(Catalog.Group.allCases)
        current = base
        try Data(#"{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"r"}"#.utf8)
            .write(to: URL(filePath: credentials))
        try? FileManager.default.removeItem(atPath: folder)
        for group in Catalog.Group.allCases { for table in base.tables(group) { try write(table, group) } }
    }

    private func write(_ table: NamedTable, _ group: Catalog.Group) throws {
        let place = URL(filePath: folder).appending(path: group.rawValue)
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        try encoder.encode(table.table).write(to: place.appending(path: "\(table.name).json"))
    }

    /// A release adds a column to a table of each organization and to one of the central tables, and a table to each organization.
    func release(_ number: Int) throws -> Catalog {
        let column = FieldSchema("release_\(number)", "STRING")
        for (group, name) in [
            (Catalog.Group.organization, "subscription_plans"), (.organizations, "org_cost_tracking"),
        ] {
            guard var table = base.tables(group).first(where: { $0.name == name }) else { continue }
            for earlier in 1..<number { table.table.schema.fields.append(FieldSchema("release_\(earlier)", "STRING")) }
            table.table.schema.fields.append(column)
            try write(table, group)
        }
        if let template = base.tables(.organization).first(where: { $0.name == "subscription_plans" }) {
            try write(NamedTable("release_\(number)", template.table), .organization)
        }
        return try Catalog(directory: folder, Catalog.Group.allCases)
    }
}
