import Foundation
import JobRuntime
import Warehouse

/// Values in the form of BigQuery's REST API: parameters as the jobs send them, results as the jobs read them.
enum RESTValue {
    struct Unreadable: Error {
        let parameter: JSONValue
    }

    /// https://cloud.google.com/bigquery/docs/reference/rest/v2/QueryParameter
    static func parameter(_ json: JSONValue) throws -> SQLValue.Field {
        guard let object = json.object, let name = object["name"]?.string, let type = object["parameterType"],
            let value = object["parameterValue"]
        else { throw Unreadable(parameter: json) }
        return SQLValue.Field(name, try self.value(value, try self.type(type)))
    }

    private static func type(_ json: JSONValue) throws -> SQLType {
        guard let object = json.object, let name = object["type"]?.string else { throw Unreadable(parameter: json) }
        if name == "ARRAY", let element = object["arrayType"] { return .array(try type(element)) }
        if name == "STRUCT", let fields = object["structTypes"]?.array {
            return .structure(
                try fields.map { field in
                    guard let members = field.object, let name = members["name"]?.string, let inner = members["type"]
                    else {
                        throw Unreadable(parameter: json)
                    }
                    return SQLType.Field(name, try type(inner))
                })
        }
        guard let scalar = SQLType(scalarName: name) else { throw Unreadable(parameter: json) }
        return scalar
    }

    private static func value(_ json: JSONValue, _ type: SQLType) throws -> SQLValue {
        guard let object = json.object else { throw Unreadable(parameter: json) }
        switch type {
        case .array(let element):
            return .array(of: element, try (object["arrayValues"]?.array ?? []).map { try value($0, element) })
        case .structure(let fields):
            guard let values = object["structValues"]?.object else { return .null(type) }
            return .structure(
                try fields.map { SQLValue.Field($0.name, try value(values[$0.name] ?? .object([:]), $0.type)) })
        default:
            guard let text = object["value"]?.string else { return .null(type) }
            guard let value = scalar(text, type) else { throw Unreadable(parameter: json) }
            return value
        }
    }

    private static func scalar(_ text: String, _ type: SQLType) -> SQLValue? {
        switch type {
        case .int64: Int64(text).map { .int64($0) }
        case .float64: Double(text).map { .float64($0) }
        case .bool: .bool(text == "true")
        case .timestamp: Timestamp(text).map { .timestamp($0) }
        case .date: CivilDate(text).map { .date($0) }
        case .numeric, .bigNumeric: .numeric(text)
        case .json: .json(text)
        case .bytes: Data(base64Encoded: text).map { .bytes($0) }
        default: .string(text)
        }
    }

    /// The members `schema`, `rows` and `totalRows` of a result.
    static func table(_ rows: [Row]) -> [String: JSONValue] {
        var fields: [JSONValue] = []
        for (index, field) in (rows.first?.fields ?? []).enumerated() {
            // SQLite knows the type of an expression from its value only, so the first value that is there decides.
            let known = rows.lazy.map { $0.fields[index].value }.first { !$0.isNull } ?? field.value
            var members: [(key: String, value: JSONValue)] = [("name", .string(field.name))]
            if case .array(let element, _) = known {
                members += [("type", .string(element.text)), ("mode", .string("REPEATED"))]
            } else {
                members.append(("type", .string(known.type.text)))
            }
            fields.append(.object(JSONObject(members)))
        }
        let lines = rows.map { row in
            JSONValue.object(["f": .array(row.fields.map { .object(["v": cell($0.value)]) })])
        }
        return [
            "schema": .object(["fields": .array(fields)]), "rows": .array(lines), "totalRows": .string("\(rows.count)"),
        ]
    }

    private static func cell(_ value: SQLValue) -> JSONValue {
        switch value {
        case .null: .null
        case .string(let text), .numeric(let text), .json(let text): .string(text)
        case .bytes(let data): .string(data.base64EncodedString())
        case .int64(let number): .string(String(number))
        case .float64(let number): .string(String(number))
        case .bool(let flag): .string(flag ? "true" : "false")
        case .timestamp(let instant): .string(String(instant.microseconds))
        case .date(let date): .string(date.description)
        case .array(_, let elements): .array(elements.map { .object(["v": cell($0)]) })
        case .structure(let fields): .object(["f": .array(fields.map { .object(["v": cell($0.value)]) })])
        }
    }
}

/// Reads the text of a MERGE back into the statement that BigQueryWarehouse made it from, because SQLite has no MERGE.
struct MergeText {
    let statement: MergeStatement

    struct Unreadable: Error {
        let sql: String
    }

    init(_ sql: String, _ parameters: [SQLValue.Field]) throws {
        func between(_ start: String, _ end: String, last: Bool = false) -> String? {
            guard let from = sql.range(of: start) else { return nil }
            let rest = sql[from.upperBound...]
            guard let to = rest.range(of: end, options: last ? .backwards : []) else { return nil }
            return String(rest[..<to.lowerBound])
        }
        let name = between("MERGE `", "` AS t")?.split(separator: ".").map(String.init) ?? []
        guard name.count == 2, let dataset = DatasetID(name[0]), let target = TableReference(dataset, name[1]),
            let source = between("USING (", ") AS s\nON ", last: true),
            let on = sql.range(of: ") AS s\nON ", options: .backwards)
        else { throw Unreadable(sql: sql) }
        let rest = sql[on.upperBound...]
        var scope = String(rest[..<(rest.range(of: "\nWHEN ")?.lowerBound ?? rest.endIndex)])
        var keys: [String] = []
        while scope.hasPrefix("t.`"), let end = scope.range(of: " AND ") {
            let condition = scope[..<end.lowerBound]
            let column = condition.dropFirst(3).prefix { $0 != "`" }
            guard condition == "t.`\(column)` = s.`\(column)`" else { break }
            keys.append(String(column))
            scope = String(scope[end.upperBound...])
        }
        var (compared, raised, stamped): ([String], [String], [String]) = ([], [], [])
        if let difference = rest.range(of: "WHEN MATCHED AND ("), let set = rest.range(of: ") THEN UPDATE SET ") {
            let differences = rest[difference.upperBound..<set.lowerBound]
            let assignments = rest[set.upperBound...].prefix { $0 != "\n" }
            for column in Self.columns(assignments) {
                if assignments.contains("`\(column)` = IF(") {
                    raised.append(column)
                } else if differences.contains("t.`\(column)` IS DISTINCT") {
                    compared.append(column)
                } else {
                    stamped.append(column)
                }
            }
        }
        var inserted: [String] = []
        if let insert = rest.range(of: "THEN INSERT (") {
            inserted = rest[insert.upperBound...].prefix { $0 != ")" }.split(separator: "`").map(String.init).filter {
                $0 != ", "
            }
        }
        statement = MergeStatement(
            "merge", into: target, from: source, keys: keys, scope: scope, compared: compared, raised: raised,
            stamped: stamped, inserted: inserted, parameters: parameters)
    }

    /// The columns before the equals signs of assignments.
    private static func columns(_ assignments: Substring) -> [String] {
        var columns: [String] = []
        var rest = assignments
        while let equals = rest.range(of: "` = ") {
            let name = rest[..<equals.lowerBound].split(separator: "`").last.map(String.init) ?? ""
            if !columns.contains(name) { columns.append(name) }
            rest = rest[equals.upperBound...]
        }
        return columns
    }
}
