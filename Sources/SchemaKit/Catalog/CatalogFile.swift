package import FoundationEssentials
import JobRuntime
import Warehouse

/// One file of the catalog, not yet read.
package struct CatalogFile: Sendable {
    /// Name of the table: the file's name without `.json`.
    package var name: String
    /// The file's path, for messages.
    package var path: String
    package var contents: Data
    /// Whether the file comes from `CATALOG_DIR`. It may have members with which tables cannot be created.
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
    /// Members that the server sets and that `bq show` prints. They are ignored.
    private static let outputMembers: Set<String> = [
        "kind", "etag", "id", "selfLink", "tableReference", "type", "creationTime", "lastModifiedTime", "location",
        "partitionDefinition", "streamingBuffer",
    ]

    private func unknownMembers() -> [String] {
        let names = (try? JSONDecoder().decode([String: JSONValue].self, from: contents))?.keys.sorted() ?? []
        return names.filter { !Self.members.contains($0) && !Self.outputMembers.contains($0) && !$0.hasPrefix("num") }
            .map { "\($0): tables cannot be created with it; remove it" }
    }

    /// The place in the file and the reason, without the decoder's own names.
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

/// BigQuery's rules for new tables that a catalog file can break.
/// https://cloud.google.com/bigquery/docs/schemas, .../partitioned-tables, .../clustered-tables
enum TableRules {
    static func problems(of table: Table, named name: String) -> [String] {
        var problems: [String] = []
        if !TableReference.isValidTableID(name) {
            problems.append("the file's name is no table name: use ASCII letters, digits and underscores")
        }
        if table.schema.fields.isEmpty { problems.append("schema.fields is missing or empty") }
        problems += self.problems(of: table.schema.fields, path: "", depth: 1)
        let columns = Dictionary(
            table.schema.fields.map { ($0.name.lowercased(), $0) }, uniquingKeysWith: { first, _ in first })
        problems += partitioningProblems(of: table, columns) + clusteringProblems(of: table, columns)
        return problems
    }

    private static func problems(of fields: [FieldSchema], path: String, depth: Int) -> [String] {
        var problems: [String] = []
        var seen: Set<String> = []
        for field in fields {
            let name = "field \(path)\(field.name)"
            if !ColumnName.isPlain(field.name) {
                problems.append(
                    "\(name): not a column name; use a letter or _, then letters, digits and _, at most 300")
            }
            if let prefix = reservedPrefixes.first(where: field.name.lowercased().hasPrefix) {
                problems.append("\(name): BigQuery keeps names with \(prefix) for itself")
            }
            if !seen.insert(field.name.lowercased()).inserted { problems.append("\(name): there are two of that name") }
            if !FieldSchema.knownTypes.contains(field.canonicalType) {
                problems.append("\(name): unknown type \(field.type)")
            }
            if (field.canonicalType == "STRUCT") == field.fields.isEmpty {
                problems.append("\(name): a RECORD has fields, and nothing else has")
            }
            for (name, value) in field.attributes where ["maxLength", "precision", "scale"].contains(name) {
                if value.string.map({ $0.isEmpty || !$0.utf8.allSatisfy(\.isDigit) }) ?? true {
                    problems.append("field \(path)\(field.name): \(name) is not a whole number")
                }
            }
            if depth > 15 {
                problems.append("\(name): nested more than 15 levels deep")
            } else {
                problems += self.problems(of: field.fields, path: "\(path)\(field.name).", depth: depth + 1)
            }
        }
        return problems
    }

    /// https://cloud.google.com/bigquery/docs/schemas#column_names
    private static let reservedPrefixes = [
        "_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier", "_change_sequence_number",
        "_change_type", "_change_timestamp",
    ]

    private static let units: [String: Set<String>] = [
        "DATE": ["DAY", "MONTH", "YEAR"], "TIMESTAMP": ["HOUR", "DAY", "MONTH", "YEAR"],
        "DATETIME": ["HOUR", "DAY", "MONTH", "YEAR"],
    ]

    private static func partitioningProblems(of table: Table, _ columns: [String: FieldSchema]) -> [String] {
        guard let partitioning = table.timePartitioning else { return [] }
        guard table.rangePartitioning == nil else {
            return ["timePartitioning and rangePartitioning exclude each other"]
        }
        guard let name = partitioning.field else {
            return units["TIMESTAMP"]!.contains(partitioning.type)
                ? [] : ["timePartitioning.type: \(quoted(partitioning.type)) is not HOUR, DAY, MONTH or YEAR"]
        }
        guard let column = columns[name.lowercased()] else { return ["timePartitioning.field: no column \(name)"] }
        guard let units = units[column.canonicalType], column.mode != .repeated else {
            return ["timePartitioning.field: \(name) is \(column.sqlType), not DATE, TIMESTAMP or DATETIME"]
        }
        return units.contains(partitioning.type)
            ? []
            : ["timePartitioning.type: \(quoted(partitioning.type)) does not go with a \(column.canonicalType) column"]
    }

    private static let clusterable: Set<String> = [
        "BIGNUMERIC", "BOOL", "DATE", "DATETIME", "GEOGRAPHY", "INT64", "NUMERIC", "STRING", "TIMESTAMP",
    ]

    private static func clusteringProblems(of table: Table, _ columns: [String: FieldSchema]) -> [String] {
        let names = table.clustering?.fields ?? []
        var problems = names.count > 4 ? ["clustering.fields: \(names.count) columns; BigQuery takes 4"] : []
        if Set(names.map { $0.lowercased() }).count < names.count {
            problems.append("clustering.fields: a column twice")
        }
        for name in names {
            guard let column = columns[name.lowercased()] else {
                problems.append("clustering.fields: no column \(name)")
                continue
            }
            if column.mode == .repeated || !clusterable.contains(column.canonicalType) {
                problems.append("clustering.fields: \(name) is \(column.sqlType), which BigQuery does not cluster by")
            }
        }
        return problems
    }
}
