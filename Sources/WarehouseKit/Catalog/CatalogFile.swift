package import FoundationEssentials
import JobRuntime

/// One file of the catalog, not yet read.
package struct CatalogFile: Sendable {
    /// Name of the table: the file's name without `.json`.
    package var name: String
    /// Where it is, for messages.
    package var path: String
    package var contents: Data
    /// Somebody else's file, in which there may be what we cannot create.
    package var isForeign: Bool

    package init(name: String, path: String, contents: Data, isForeign: Bool = false) {
        self.name = name
        self.path = path
        self.contents = contents
        self.isForeign = isForeign
    }

    func table() throws(CatalogError) -> NamedTable {
        var table: Table
        do {
            table = try JSONDecoder().decode(Table.self, from: contents)
        } catch {
            throw CatalogError(problems: ["\(path): \(Self.reason(of: error))"])
        }
        var problems = TableRules.problems(of: table, named: name)
        if isForeign { problems += unknownMembers() }
        if let type = table.type, type != "TABLE" { problems.insert("type: a \(quoted(type)) is not a table", at: 0) }
        table.etag = nil
        table.type = nil
        guard problems.isEmpty else { throw CatalogError(problems: problems.map { "\(path): \($0)" }) }
        return NamedTable(name, table)
    }

    private static let members: Set<String> = [
        "description", "schema", "timePartitioning", "rangePartitioning", "requirePartitionFilter", "clustering",
        "labels",
    ]
    /// What the server makes, and `bq show` prints.
    private static let outputMembers: Set<String> = [
        "kind", "etag", "id", "selfLink", "tableReference", "type", "creationTime", "lastModifiedTime", "location",
        "partitionDefinition", "streamingBuffer",
    ]

    private func unknownMembers() -> [String] {
        let names = (try? JSONDecoder().decode([String: JSONValue].self, from: contents))?.keys.sorted() ?? []
        return names.filter { !Self.members.contains($0) && !Self.outputMembers.contains($0) && !$0.hasPrefix("num") }
            .map { "\($0): tables cannot be created with it; remove it" }
    }

    /// Where in the file and why, without the decoder's own names.
    private static func reason(of error: any Error) -> String {
        guard let error = error as? DecodingError else { return String(describing: error) }
        switch error {
        case .keyNotFound(let key, let context): return "\(place(context)) has no \"\(key.stringValue)\""
        case .typeMismatch(let type, let context): return "\(place(context)) is not a \(noun(type))"
        case .valueNotFound(_, let context): return "\(place(context)) is null"
        case .dataCorrupted(let context):
            return context.codingPath.isEmpty ? "not valid JSON" : "\(place(context)): \(context.debugDescription)"
        @unknown default: return "not a table resource"
        }
    }

    private static func place(_ context: DecodingError.Context) -> String {
        let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
        return path.isEmpty ? "the file" : String(path.drop { $0 == "." })
    }

    private static func noun(_ type: any Any.Type) -> String {
        switch String(describing: type) {
        case "String": "string"
        case let name where name.hasPrefix("Array"): "list"
        case "Bool": "boolean"
        default: "JSON object"
        }
    }
}
