package import JobRuntime

/// A column, or a field within a RECORD: BigQuery's `TableFieldSchema`.
///
/// `attributes` keeps the members that this program does not interpret (policy tags, collation and others), so that sending a
/// schema back does not change them.
package struct FieldSchema: Hashable, Sendable {
    package enum Mode: String, Sendable {
        case nullable = "NULLABLE"
        case required = "REQUIRED"
        case repeated = "REPEATED"
    }

    package var name: String
    /// The type as the server or the file spelled it, `INTEGER` or `INT64`. Compare ``canonicalType``.
    package var type: String
    package var mode: Mode
    package var description: String?
    package var fields: [FieldSchema]
    package var attributes: [String: JSONValue]

    package init(
        _ name: String, _ type: String, mode: Mode = .nullable, description: String? = nil, fields: [FieldSchema] = [],
        attributes: [String: JSONValue] = [:]
    ) {
        self.name = name
        self.type = type
        self.mode = mode
        self.description = description
        self.fields = fields
        self.attributes = attributes
    }

    /// The GoogleSQL name of the type. The REST API's legacy names and SQL's aliases have the same one.
    package var canonicalType: String { Self.canonicalType(type) }

    package static func canonicalType(_ name: String) -> String {
        let name = name.uppercased()
        return aliases[name] ?? name
    }

    /// https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types and `TableFieldSchema.type` of the REST API
    private static let aliases = [
        "INTEGER": "INT64", "INT": "INT64", "SMALLINT": "INT64", "BIGINT": "INT64", "TINYINT": "INT64",
        "BYTEINT": "INT64",
        "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT", "DECIMAL": "NUMERIC", "BIGDECIMAL": "BIGNUMERIC",
    ]

    package static let knownTypes: Set<String> = [
        "STRING", "BYTES", "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "BOOL", "TIMESTAMP", "DATE", "DATETIME", "TIME",
        "JSON", "GEOGRAPHY", "INTERVAL", "RANGE", "STRUCT",
    ]
}

extension FieldSchema: Codable {
    private static let ownMembers: Set<String> = ["name", "type", "mode", "description", "fields"]
    private static let numbers: Set<String> = ["maxLength", "precision", "scale", "timestampPrecision"]

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: MemberName.self)
        let modeText = try container.decodeIfPresent(String.self, forKey: MemberName("mode")) ?? Mode.nullable.rawValue
        guard let mode = Mode(rawValue: modeText.isEmpty ? Mode.nullable.rawValue : modeText.uppercased()) else {
            throw DecodingError.dataCorruptedError(
                forKey: MemberName("mode"), in: container,
                debugDescription: "mode must be NULLABLE, REQUIRED or REPEATED")
        }
        self.init(
            try container.decode(String.self, forKey: MemberName("name")),
            try container.decode(String.self, forKey: MemberName("type")),
            mode: mode, description: try container.decodeIfPresent(String.self, forKey: MemberName("description")),
            fields: try container.decodeIfPresent([FieldSchema].self, forKey: MemberName("fields")) ?? [])
        for key in container.allKeys where !Self.ownMembers.contains(key.stringValue) {
            let value = try container.decode(JSONValue.self, forKey: key)
            if Self.numbers.contains(key.stringValue), let number = value.wholeNumber {
                attributes[key.stringValue] = .string(String(number))
            } else {
                attributes[key.stringValue] = value
            }
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: MemberName.self)
        try container.encode(name, forKey: MemberName("name"))
        try container.encode(type, forKey: MemberName("type"))
        try container.encode(mode.rawValue, forKey: MemberName("mode"))
        try container.encodeIfPresent(description, forKey: MemberName("description"))
        if !fields.isEmpty { try container.encode(fields, forKey: MemberName("fields")) }
        for (name, value) in attributes { try container.encode(value, forKey: MemberName(name)) }
    }
}

extension FieldSchema {
    /// The resource names of the policy tags.
    package var policyTags: [String] {
        attributes["policyTags"]?.object?["names"]?.array?.compactMap(\.text) ?? []
    }

    /// Whether this field or one within it has policy tags, data policies or data governance tags.
    package var isGuarded: Bool {
        !policyTags.isEmpty || Self.accessMembers.contains { !(attributes[$0]?.isEmpty ?? true) }
            || fields.contains(where: \.isGuarded)
    }

    private static let accessMembers = ["dataPolicies", "dataPolicyList", "dataGovernanceTagsInfo"]

    /// `nil` where the field does not say it, and for the empty text.
    package var collation: String? { nonEmpty("collation") }

    /// `nil` where the field does not say it.
    package var roundingMode: String? {
        nonEmpty("roundingMode").flatMap { $0 == "ROUNDING_MODE_UNSPECIFIED" ? nil : $0 }
    }

    /// `nil` also for NULL, which is the default of every column that states none.
    package var defaultValueExpression: String? {
        nonEmpty("defaultValueExpression").flatMap { $0.uppercased() == "NULL" ? nil : $0 }
    }

    private func nonEmpty(_ name: String) -> String? {
        attributes[name]?.text.flatMap { $0.isEmpty ? nil : $0 }
    }
}

extension FieldSchema {
    /// The type in GoogleSQL, normalized, as `INFORMATION_SCHEMA.COLUMNS.data_type` shows it: `STRING(20)`,
    /// `ARRAY<STRUCT<a INT64, b STRING>>`. Two spellings of one type have the same text.
    package var sqlType: String {
        mode == .repeated ? "ARRAY<\(elementType)>" : elementType
    }

    /// The type of the field, or of one element if the field is repeated.
    package var elementType: String {
        switch canonicalType {
        case "STRUCT":
            "STRUCT<\(fields.map { "\(ColumnName.inType($0.name)) \($0.sqlType)" }.joined(separator: ", "))>"
        case "RANGE":
            "RANGE<\(Self.canonicalType(attributes["rangeElementType"]?.object?["type"]?.text ?? ""))>"
        default: canonicalType + typeParameters
        }
    }

    /// `(20)` of STRING(20), `(10, 2)` of NUMERIC(10, 2), or an empty text. A missing scale is 0, and 6 is the precision of a
    /// TIMESTAMP that does not say it.
    private var typeParameters: String {
        let names: [String]
        switch canonicalType {
        case "STRING", "BYTES": names = ["maxLength"]
        case "NUMERIC", "BIGNUMERIC":
            names = attributes["scale"]?.wholeNumber == 0 ? ["precision"] : ["precision", "scale"]
        case "TIMESTAMP": names = attributes["timestampPrecision"]?.wholeNumber == 6 ? [] : ["timestampPrecision"]
        default: names = []
        }
        let parameters = names.compactMap { attributes[$0]?.string }
        return parameters.isEmpty ? "" : "(\(parameters.joined(separator: ", ")))"
    }
}

extension JSONValue {
    /// Whether it is `null`, or an object or list in which all is empty.
    fileprivate var isEmpty: Bool {
        switch self {
        case .null: true
        case .array(let elements): elements.allSatisfy(\.isEmpty)
        case .object(let object): object.members.allSatisfy(\.value.isEmpty)
        default: false
        }
    }
}
