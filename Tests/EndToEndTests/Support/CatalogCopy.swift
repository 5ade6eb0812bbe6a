import Foundation
import SchemaKit
import TestSupport

/// A folder for `CATALOG_DIR` with tables of the repository's catalog, to be changed.
struct CatalogCopy {
    private let folder: TemporaryFolder

    /// All tables.
    init() throws {
        try self.init { _, names in names }
    }

    /// No more than the jobs need, and so many tables of `organization/`.
    init(organizationTables count: Int) throws {
        try self.init { group, names in
            switch group {
            case "organizations": ["org_profiles.json"]
            case "operations": ["job_runs.json"]
            default: Array(names.prefix(count))
            }
        }
    }

    private init(choosing choice: (_ group: String, _ files: [String]) -> [String]) throws {
        folder = try TemporaryFolder()
        for group in ["organizations", "organization", "operations"] {
            let source = Repository.path("Sources/SchemaKit/Catalog/Tables/\(group)")
            try FileManager.default.createDirectory(atPath: folder.file(group), withIntermediateDirectories: false)
            let names = try FileManager.default.contentsOfDirectory(atPath: source).sorted()
            for name in choice(group, names) {
                try FileManager.default.copyItem(atPath: "\(source)/\(name)", toPath: folder.file("\(group)/\(name)"))
            }
        }
    }

    var path: String { folder.path }
    var variables: [String: String] { ["CATALOG_DIR": path] }

    func tables(_ group: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.file(group)).sorted().map { String($0.dropLast(5)) }
    }

    func write(_ text: String, to file: String) throws {
        try Data(text.utf8).write(to: URL(filePath: folder.file(file)))
    }

    /// - Parameter table: Such as `organization/subscription_plans`.
    func remove(_ table: String) throws {
        try FileManager.default.removeItem(atPath: folder.file("\(table).json"))
    }

    func changeFields(of table: String, _ change: (inout [[String: Any]]) -> Void) throws {
        let file = URL(filePath: folder.file("\(table).json"))
        var object = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any] ?? [:]
        var schema = object["schema"] as? [String: Any] ?? [:]
        var fields = schema["fields"] as? [[String: Any]] ?? []
        change(&fields)
        schema["fields"] = fields
        object["schema"] = schema
        try JSONSerialization.data(withJSONObject: object).write(to: file)
    }

    /// Adds a column that the built-in catalog does not have.
    func addColumn(_ name: String, _ type: String = "STRING", mode: String = "NULLABLE", to table: String) throws {
        try changeFields(of: table) {
            $0.append(["name": name, "type": type, "mode": mode, "description": "What \(name) says"])
        }
    }
}
