import JobRuntime
package import Warehouse

/// BigQuery's answer to the bulk comparison, for scripted servers: what the statement would return over these datasets.
///
/// ```swift
/// let answer = SurveyAnswer([.init("acme", tables: catalog), .init("globex", tables: nil)])
/// return answer.reply()
/// ```
package struct SurveyAnswer: Sendable {
    package struct Dataset: Sendable {
        package var subject: String
        package var name: String
        /// The tables by name; `nil` if the views do not show the dataset.
        package var tables: [String: Table]?
        package var defaults: String = ""

        /// - Parameter name: `{subject}_test` if it is `nil`.
        package init(_ subject: String, name: String? = nil, tables: [String: Table]?, defaults: String = "") {
            self.subject = subject
            self.name = name ?? "\(subject)_test"
            self.tables = tables
            self.defaults = defaults
        }

        package init(_ subject: String, name: String? = nil, tables: [NamedTable]) {
            self.init(
                subject, name: name,
                tables: Dictionary(tables.map { ($0.name, $0.table) }, uniquingKeysWith: { first, _ in first }))
        }
    }

    package var datasets: [Dataset]
    /// The names of the catalog's tables.
    package var wanted: [String]
    /// The row about the table that certainly exists; `nil` if the answer has none.
    package var isKnownShown: Bool?
    /// How many members a row names.
    package var mostMembers = Int.max

    package init(_ datasets: [Dataset], wanted: [String], isKnownShown: Bool? = true) {
        self.datasets = datasets
        self.wanted = wanted
        self.isKnownShown = isKnownShown
    }

    /// - Parameter names: Only these datasets; all of them if `nil`.
    package func reply(only names: [String]? = nil) -> ScriptedReply {
        var groups: [(table: String, shape: String?, members: [String])] = []
        func add(_ table: String, _ shape: String?, _ dataset: Dataset) {
            let member = "\(dataset.subject)=\(dataset.name)"
            if let index = groups.firstIndex(where: { $0.table == table && $0.shape == shape }) {
                groups[index].members.append(member)
            } else {
                groups.append((table, shape, [member]))
            }
        }
        for dataset in datasets where names?.contains(dataset.name) ?? true {
            add("", dataset.tables == nil ? nil : dataset.defaults, dataset)
            guard let tables = dataset.tables else { continue }
            for name in wanted { add(name, tables[name].map(Self.shape), dataset) }
        }
        var rows = groups.map { group in
            let key: SQLValue = group.shape.map { .string("\($0.utf8.count)") } ?? .null(.string)
            return [
                .string(group.table), group.shape.map { .string($0) } ?? .null(.string), key,
                .string("\(group.members.count)"),
                .string(group.members.prefix(mostMembers).joined(separator: ",")), .string("0"), .null(.string),
                .null(.string),
            ]
        }
        if let isKnownShown {
            rows.append([
                .string("org_profiles"), isKnownShown ? .string("") : .null(.string), .null(.string), .string("1"),
                .string("=organizations"), .string("0"), .null(.string), .null(.string),
            ])
        }
        return Self.reply(
            [
                ("table_name", "STRING"), ("shape", "STRING"), ("shape_key", "STRING"), ("datasets", "INTEGER"),
                ("members", "STRING"), ("extra_datasets", "INTEGER"), ("extra_columns", "STRING"),
                ("extra_members", "STRING"),
            ], rows)
    }

    /// A finished query.
    package static func reply(_ columns: [(name: String, type: String)], _ rows: [[SQLValue]]) -> ScriptedReply {
        let fields = columns.map {
            JSONValue.object([("name", .string($0.name)), ("type", .string($0.type))])
        }
        let lines = rows.map { row in
            let cells = row.map { value -> JSONValue in
                if case .string(let text) = value { .object([("v", .string(text))]) } else { .object([("v", .null)]) }
            }
            return JSONValue.object([("f", .array(cells))])
        }
        return .json(
            JSONValue.object([
                ("jobComplete", .bool(true)), ("totalBytesBilled", .string("10")),
                ("jobReference", .object([("jobId", .string("job_1")), ("location", .string("US"))])),
                ("totalRows", .string("\(rows.count)")), ("schema", .object([("fields", .array(fields))])),
                ("rows", .array(lines)),
            ]).description)
    }

    private static let unit = "\u{1F}"
    private static let record = "\u{1E}"
    private static let group = "\u{1D}"

    /// The text by which the statement describes a table.
    package static func shape(of table: Table) -> String {
        if let type = table.type, type != "TABLE" { return type + String(repeating: group, count: 6) }
        let fields = table.schema.fields
        let clustering = table.clustering?.fields ?? []
        let partitioning = table.timePartitioning?.field ?? table.rangePartitioning?.field
        let columns = fields.map { field in
            let position = clustering.firstIndex(of: field.name).map { "\($0 + 1)" } ?? ""
            return [
                field.name, field.sqlType, field.mode == .nullable ? "YES" : "NO",
                field.name == partitioning ? "YES" : "NO", position, field.defaultValueExpression ?? "NULL",
            ].joined(separator: unit)
        }
        var options: [String] = []
        func option(_ name: String, _ value: String?) {
            if let value { options.append(name + unit + value) }
        }
        option("description", table.description.map(literal))
        option("expiration_timestamp", table.attributes["expirationTime"].map { _ in "" })
        option("friendly_name", table.attributes["friendlyName"]?.string.map(literal))
        option(
            "labels",
            table.labels.map { labels in
                let pairs = labels.sorted { $0.key < $1.key }.map { "STRUCT(\(literal($0.key)), \(literal($0.value)))" }
                return "[\(pairs.joined(separator: ", "))]"
            })
        option(
            "partition_expiration_days",
            table.timePartitioning?.expirationMs.flatMap { Double($0) }.map { "\($0 / 86_400_000)" })
        option("require_partition_filter", table.requirePartitionFilter == true ? "true" : nil)
        let hasRecords = fields.contains { $0.canonicalType == "STRUCT" }
        return [
            "BASE TABLE", columns.joined(separator: record), paths(fields, "").joined(separator: record),
            options.joined(separator: record), clause(of: table),
            table.attributes["defaultCollation"]?.string ?? "",
            hasRecords ? fields.map { "\n  \(definition($0))" }.joined(separator: ",") : "",
        ].joined(separator: group)
    }

    private static func paths(_ fields: [FieldSchema], _ prefix: String) -> [String] {
        fields.flatMap { field in
            let path = prefix + field.name
            let own = [
                path, field.description ?? "", field.collation ?? "NULL", field.roundingMode ?? "",
                field.policyTags.joined(separator: ","),
            ].joined(separator: unit)
            return [own] + paths(field.fields, path + ".")
        }
    }

    private static func clause(of table: Table) -> String {
        if let range = table.rangePartitioning {
            return
                "\nPARTITION BY RANGE_BUCKET(\(range.field), GENERATE_ARRAY(\(range.start), \(range.end), \(range.interval)))"
        }
        guard let time = table.timePartitioning else { return "" }
        let type = table.schema.fields.first { $0.name == time.field }?.canonicalType
        let name = time.field ?? "_PARTITIONTIME"
        if time.type == "DAY" { return "\nPARTITION BY " + (type == "DATE" ? name : "DATE(\(name))") }
        let function = ["DATE": "DATE_TRUNC", "DATETIME": "DATETIME_TRUNC"][type ?? ""] ?? "TIMESTAMP_TRUNC"
        return "\nPARTITION BY \(function)(\(name), \(time.type))"
    }

    private static func definition(_ field: FieldSchema) -> String {
        var type = field.elementType
        if field.canonicalType == "STRUCT" {
            type = "STRUCT<\(field.fields.map(definition).joined(separator: ", "))>"
        }
        if field.mode == .repeated { type = "ARRAY<\(type)>" }
        return "`\(field.name)` \(type)"
            + (field.defaultValueExpression.map { " DEFAULT \($0)" } ?? "")
            + (field.mode == .required ? " NOT NULL" : "")
            + (field.description.map { " OPTIONS(description=\(literal($0)))" } ?? "")
    }

    private static func literal(_ text: String) -> String { TableDDL.literal(text) }
}
