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

    /// Whether the text is a column name that needs no quoting: a letter or `_`, then letters, digits and `_`, at most 300.
    package static func isValidName(_ name: String) -> Bool {
        (1...300).contains(name.utf8.count) && name.utf8.allSatisfy(\.isWordCharacter) && !name.utf8.first!.isDigit
    }

    package static let knownTypes: Set<String> = [
        "STRING", "BYTES", "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "BOOL", "TIMESTAMP", "DATE", "DATETIME", "TIME",
        "JSON",
        "GEOGRAPHY", "INTERVAL", "STRUCT",
    ]
}

extension FieldSchema: Codable {
    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.init(stringValue) }
        init?(intValue: Int) { nil }
    }

    private static let ownKeys: Set<String> = ["name", "type", "mode", "description", "fields"]

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        let modeText = try container.decodeIfPresent(String.self, forKey: Key("mode")) ?? Mode.nullable.rawValue
        guard let mode = Mode(rawValue: modeText.isEmpty ? Mode.nullable.rawValue : modeText.uppercased()) else {
            throw DecodingError.dataCorruptedError(
                forKey: Key("mode"), in: container, debugDescription: "mode must be NULLABLE, REQUIRED or REPEATED")
        }
        self.init(
            try container.decode(String.self, forKey: Key("name")),
            try container.decode(String.self, forKey: Key("type")),
            mode: mode, description: try container.decodeIfPresent(String.self, forKey: Key("description")),
            fields: try container.decodeIfPresent([FieldSchema].self, forKey: Key("fields")) ?? [])
        for key in container.allKeys where !Self.ownKeys.contains(key.stringValue) {
            attributes[key.stringValue] = try container.decode(JSONValue.self, forKey: key)
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(name, forKey: Key("name"))
        try container.encode(type, forKey: Key("type"))
        try container.encode(mode.rawValue, forKey: Key("mode"))
        try container.encodeIfPresent(description, forKey: Key("description"))
        if !fields.isEmpty { try container.encode(fields, forKey: Key("fields")) }
        for (name, value) in attributes { try container.encode(value, forKey: Key(name)) }
    }
}

extension FieldSchema {
    /// The type in GoogleSQL, as `INFORMATION_SCHEMA.COLUMNS.data_type` shows it: `STRING(20)`, `ARRAY<STRUCT<a INT64, b STRING>>`.
    package var sqlType: String {
        mode == .repeated ? "ARRAY<\(elementType)>" : elementType
    }

    /// The type of the field, or of one element if the field is repeated.
    package var elementType: String {
        if canonicalType == "STRUCT" {
            return "STRUCT<\(fields.map { "\($0.name) \($0.sqlType)" }.joined(separator: ", "))>"
        }
        return canonicalType + typeParameters
    }

    /// `(20)` of STRING(20), `(10, 2)` of NUMERIC(10, 2), or an empty text.
    private var typeParameters: String {
        let parameters = ["maxLength", "precision", "scale"].compactMap { attributes[$0]?.string }
        return parameters.isEmpty ? "" : "(\(parameters.joined(separator: ", ")))"
    }
}
