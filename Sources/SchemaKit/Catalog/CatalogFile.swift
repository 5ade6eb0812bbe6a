package import FoundationEssentials
import JobRuntime
import Warehouse

/// One file of the catalog, not yet read. It has one of the forms that `bq show` prints:
///
/// - a table, `bq show --format=prettyjson DATASET.TABLE`
/// - the list of a table's columns, `bq show --schema --format=prettyjson DATASET.TABLE`
/// - a schema, `{"fields": [...]}`
package struct CatalogFile: Sendable {
    /// Name of the table: the file's name without `.json`.
    package var name: String
    /// The file's path, for messages.
    package var path: String
    package var contents: Data
    /// Whether the file is a part of the binary. A test has checked such a file, so that a job starts without doing it again.
    package var isBuiltIn: Bool

    package init(name: String, path: String, contents: Data, isBuiltIn: Bool = false) {
        self.name = name
        self.path = path
        self.contents = contents
        self.isBuiltIn = isBuiltIn
    }

    func table() throws(CatalogError) -> NamedTable {
        if isBuiltIn, let table = try? JSONDecoder().decode(Table.self, from: contents) {
            return NamedTable(name, table)
        }
        guard let file = JSONValue(document: contents) else {
            throw CatalogError(problems: ["\(path): not valid JSON"])
        }
        var reader = MemberReader()
        let resource = Self.resource(file, &reader)
        var problems = reader.problems
        if !reader.isUnreadable, let resource, let table = try? Self.decode(resource) {
            if let type = table.type, type != "TABLE", type != "CLONE" {
                problems.insert("type: a \(quoted(type)) is not a table", at: 0)
            }
            problems += TableRules.problems(of: table, named: name)
            if let members = resource.object, let filter = members["requirePartitionFilter"],
                let old = members["timePartitioning"]?.object?["requirePartitionFilter"], filter != old
            {
                problems.append("requirePartitionFilter: timePartitioning.requirePartitionFilter says otherwise")
            }
            if problems.isEmpty { return NamedTable(name, Self.normalized(table)) }
        } else if problems.isEmpty {
            problems = ["not a table resource"]
        }
        throw CatalogError(problems: problems.map { "\(path): \($0)" })
    }

    /// The file as a table, with the members that are used.
    private static func resource(_ file: JSONValue, _ reader: inout MemberReader) -> JSONValue? {
        if file.array != nil {
            return reader.read(file, as: .fields, at: "").map { .object(["schema": .object(["fields": $0])]) }
        }
        if let members = file.object, members["fields"] != nil, members["schema"] == nil {
            return reader.read(file, as: .object(TableMembers.schema), at: "").map { .object(["schema": $0]) }
        }
        return reader.read(file, as: .object(TableMembers.table), at: "")
    }

    private static func decode(_ resource: JSONValue) throws -> Table {
        try JSONDecoder().decode(Table.self, from: JSONEncoder().encode(resource))
    }

    /// The table as it is sent: without what only a table of the warehouse has, and with types that the REST API knows.
    private static func normalized(_ table: Table) -> Table {
        var table = table
        table.etag = nil
        table.type = nil
        table.schema.fields = table.schema.fields.map(normalized)
        return table
    }

    private static func normalized(_ field: FieldSchema) -> FieldSchema {
        var field = field
        if sqlAliases.contains(field.type.uppercased()) { field.type = field.canonicalType }
        field.fields = field.fields.map(normalized)
        return field
    }

    /// Names of types that are SQL's alone.
    private static let sqlAliases: Set<String> = [
        "INT", "SMALLINT", "BIGINT", "TINYINT", "BYTEINT", "DECIMAL", "BIGDECIMAL",
    ]
}
