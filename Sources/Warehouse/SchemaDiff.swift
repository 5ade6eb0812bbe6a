import JobRuntime

/// The differences between a table of the catalog and the actual table, and the schema that adds what is missing.
///
/// ```swift
/// let diff = SchemaDiff(expected: wanted, actual: table)
/// if !diff.additions.isEmpty {
///     try await warehouse.updateSchema(of: reference, to: diff.merged, ifMatch: etag)
/// }
/// ```
///
/// Invariants:
/// - `merged` has every field of the actual table, unchanged and in the same order. New fields follow them at each level, so
///   applying `merged` loses nothing.
/// - After `merged` was applied, a new comparison has no additions.
/// - Fields match by name without case. Fields that only the table has do not count as a difference. The same holds for labels,
///   and for a description, a friendly name, a key and table-wide defaults that the catalog does not state.
/// - Every other difference is in `differences`, of whichever kind.
package struct SchemaDiff: Hashable, Sendable {
    /// Paths of the missing fields, such as `address.city` for a nested one.
    package private(set) var additions: [String] = []
    /// The additions that are REQUIRED or have a default value in the catalog. BigQuery refuses both on an existing table, so
    /// they are added as NULLABLE and without the default (facts BQ-46 and BQ-47): https://cloud.google.com/bigquery/docs/managing-table-schemas
    package private(set) var relaxed: [String] = []
    package private(set) var differences: [SchemaDifference] = []
    package private(set) var merged: [FieldSchema] = []

    package init(expected: Table, actual: Table) {
        if let type = actual.type, type != "TABLE" {
            differences.append(SchemaDifference(.table, expected: "TABLE", actual: type))
            merged = actual.schema.fields
            return
        }
        merged = merge(expected.schema.fields, into: actual.schema.fields, path: "")
        compareLayout(expected, actual)
        compareOptions(expected, actual)
    }

    package var conflicts: [SchemaDifference] { differences.filter(\.isConflict) }

    /// Whether nothing is missing and nothing conflicts.
    package var isConforming: Bool { additions.isEmpty && !differences.contains(where: \.isConflict) }

    /// Takes these additions out of the difference. The table does not get them.
    package mutating func leaveOut(_ paths: [String]) {
        additions.removeAll(where: paths.contains)
        relaxed.removeAll(where: paths.contains)
        for path in paths { merged = Self.removing(path[...], from: merged) }
    }

    private static func removing(_ path: Substring, from fields: [FieldSchema]) -> [FieldSchema] {
        let (name, rest) = (path.prefix { $0 != "." }, path.drop { $0 != "." }.dropFirst())
        if rest.isEmpty { return fields.filter { $0.name != name } }
        return fields.map { field in
            guard field.name == name else { return field }
            var field = field
            field.fields = removing(rest, from: field.fields)
            return field
        }
    }

    private mutating func merge(_ expected: [FieldSchema], into actual: [FieldSchema], path: String) -> [FieldSchema] {
        var result = actual
        let indices = Dictionary(
            actual.enumerated().map { ($1.name.lowercased(), $0) }, uniquingKeysWith: { first, _ in first })
        for field in expected {
            if let index = indices[field.name.lowercased()] {
                result[index] = merge(field, into: actual[index], path: path)
            } else {
                result.append(addition(field, path: path))
            }
        }
        return result
    }

    private mutating func merge(_ expected: FieldSchema, into actual: FieldSchema, path: String) -> FieldSchema {
        let name = path + actual.name
        guard expected.canonicalType == actual.canonicalType,
            expected.canonicalType == "STRUCT" || expected.elementType == actual.elementType,
            (expected.mode == .repeated) == (actual.mode == .repeated)
        else {
            differ(.type, name, expected.shortType, actual.shortType)
            return actual
        }
        if expected.mode != actual.mode { differ(.mode, name, expected.mode.rawValue, actual.mode.rawValue) }
        differ(.defaultValue, name, expected.defaultValueExpression ?? "none", actual.defaultValueExpression ?? "none")
        differ(.policyTags, name, expected.policyTagsText, actual.policyTagsText)
        differ(.collation, name, expected.collation ?? "none", actual.collation ?? "none")
        differ(.roundingMode, name, expected.roundingMode ?? "none", actual.roundingMode ?? "none")
        if let description = expected.description, description != actual.description ?? "" {
            differ(.description, name, description, actual.description ?? "none")
        }
        var result = actual
        result.fields = merge(expected.fields, into: actual.fields, path: name + ".")
        return result
    }

    private mutating func addition(_ field: FieldSchema, path: String) -> FieldSchema {
        additions.append(path + field.name)
        var field = field
        let losesDefault = field.attributes.removeValue(forKey: "defaultValueExpression") != nil
        if field.mode == .required || losesDefault { relaxed.append(path + field.name) }
        if field.mode == .required { field.mode = .nullable }
        return field
    }

    private mutating func compareLayout(_ expected: Table, _ actual: Table) {
        differ(.partitioning, "", expected.partitioningText, actual.partitioningText)
        differ(.clustering, "", expected.clusteringText, actual.clusteringText)
        // The options of partitions mean nothing where one of the tables has none.
        guard expected.timePartitioning != nil, actual.timePartitioning != nil else { return }
        differ(.expiration, "", expected.partitionExpirationText, actual.partitionExpirationText)
    }

    private mutating func compareOptions(_ expected: Table, _ actual: Table) {
        let isPartitioned = expected.partitioningText != "none" && actual.partitioningText != "none"
        if isPartitioned {
            differ(
                .partitionFilter, "", expected.requirePartitionFilter == true ? "required" : "not required",
                actual.requirePartitionFilter == true ? "required" : "not required")
        }
        // When the table expires is not compared: the instant is another one for each table.
        let isExpiring = [expected, actual].map { $0.attributes["expirationTime"] != nil ? "set" : "none" }
        differ(.tableExpiration, "", isExpiring[0], isExpiring[1])
        for (name, kind) in Self.statedOptions {
            guard let stated = expected.attributes[name], stated != actual.attributes[name] else { continue }
            differ(kind, "", stated.words, actual.attributes[name]?.words ?? "none")
        }
        if let description = expected.description, description != actual.description ?? "" {
            differ(.description, "", description, actual.description ?? "none")
        }
        for (key, value) in (expected.labels ?? [:]).sorted(by: { $0.key < $1.key }) {
            differ(.labels, key, quoted(value), actual.labels?[key].map { quoted($0) } ?? "none")
        }
    }

    /// Options of a table that count only if the catalog states them.
    private static let statedOptions: [(member: String, kind: SchemaDifference.Kind)] = [
        ("friendlyName", .friendlyName), ("encryptionConfiguration", .encryption), ("defaultCollation", .collation),
        ("defaultRoundingMode", .roundingMode),
    ]

    private mutating func differ(_ kind: SchemaDifference.Kind, _ path: String, _ expected: String, _ actual: String) {
        let isSame =
            kind == .partitioning || kind == .clustering
            ? expected.lowercased() == actual.lowercased() : expected == actual
        if !isSame { differences.append(SchemaDifference(kind, path, expected: expected, actual: actual)) }
    }
}

/// A difference that no addition can fix. It is reported, and the table does not change.
package struct SchemaDifference: Hashable, Sendable, CustomStringConvertible {
    /// The raw value is the kind's name for operators.
    package enum Kind: String, Sendable, CaseIterable {
        /// The object is a view or the like, and not a table.
        case table
        case type, mode, partitioning, clustering
        /// How long a partition lives.
        case expiration
        case partitionFilter = "partition_filter"
        case tableExpiration = "table_expiration"
        case defaultValue = "defaults"
        case policyTags = "policy_tags"
        case collation
        case roundingMode = "rounding_mode"
        case encryption
        case friendlyName = "friendly_name"
        case description = "descriptions"
        case labels
        /// BigQuery deletes the dataset's new tables or partitions after some days. The path is `tables` or `partitions`.
        case datasetExpiration = "dataset_expiration"
        /// The table has columns that no catalog has. Only a survey finds them. The path names them.
        case extraColumns = "extra_columns"
    }

    package var kind: Kind
    /// The path of the field, the key of the label, or empty for the table itself.
    package var path: String
    package var expected: String
    package var actual: String

    package init(_ kind: Kind, _ path: String = "", expected: String, actual: String) {
        self.kind = kind
        self.path = path
        self.expected = expected
        self.actual = actual
    }

    /// Whether statements that rely on the catalog may fail or cost more on this table. Every other difference is a notice.
    package var isConflict: Bool {
        switch kind {
        case .table, .type, .partitioning, .clustering: true
        // A REQUIRED column in place of a NULLABLE one refuses rows. The other way round nothing fails, and BigQuery adds a
        // REQUIRED column only as NULLABLE.
        case .mode: actual == FieldSchema.Mode.required.rawValue
        default: false
        }
    }

    package var description: String {
        switch kind {
        case .table: "it is \(actual), not a table"
        case .type, .mode: "\(path) is \(actual), the catalog says \(expected)"
        case .description: "the description\(ofPath) differs from the catalog's"
        case .datasetExpiration: "BigQuery deletes its \(path) \(actual) days after their creation, by default"
        case .extraColumns: "\(path) \(path.contains(",") ? "are" : "is") in no catalog; \(actual)"
        case .labels: "the label \(path) is \(actual), the catalog says \(expected)"
        default: "\(path.isEmpty ? noun : "the \(noun)\(ofPath)") is \(actual), the catalog says \(expected)"
        }
    }

    private var ofPath: String { path.isEmpty ? "" : " of \(path)" }

    private var noun: String {
        switch kind {
        case .table, .type, .mode, .partitioning, .clustering, .collation, .encryption, .labels: kind.rawValue
        case .expiration: "the expiration of partitions"
        case .partitionFilter: "the partition filter"
        case .tableExpiration: "the table's expiration"
        case .defaultValue: "default"
        case .policyTags: "policy tag"
        case .roundingMode: "rounding mode"
        case .friendlyName: "the friendly name"
        case .description: "description"
        case .datasetExpiration: "expiration"
        case .extraColumns: "columns"
        }
    }
}

extension FieldSchema {
    /// The type without the inner fields of a RECORD, which are compared on their own.
    fileprivate var shortType: String {
        let element = canonicalType == "STRUCT" ? "STRUCT" : elementType
        return mode == .repeated ? "ARRAY<\(element)>" : element
    }

    fileprivate var policyTagsText: String {
        policyTags.isEmpty ? "none" : policyTags.sorted().joined(separator: ", ")
    }
}

extension JSONValue {
    fileprivate var words: String { text ?? description }
}

extension Table {
    package var partitioningText: String {
        if let range = rangePartitioning {
            return "ranges of \(range.field) from \(range.start) to \(range.end) by \(range.interval)"
        }
        guard let timePartitioning else { return "none" }
        return "\(timePartitioning.type) of \(timePartitioning.field ?? "ingestion time")"
    }

    package var clusteringText: String {
        guard let fields = clustering?.fields, !fields.isEmpty else { return "none" }
        return fields.joined(separator: ", ")
    }

    fileprivate var partitionExpirationText: String {
        guard let text = timePartitioning?.expirationMs, let milliseconds = Int64(text), milliseconds > 0 else {
            return "none"
        }
        let days = Double(milliseconds) / 86_400_000
        return days == days.rounded() ? "\(Int64(days)) days" : "\(days) days"
    }
}
