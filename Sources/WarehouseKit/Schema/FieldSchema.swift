/// A column, or a field within a RECORD: BigQuery's `TableFieldSchema`.
///
/// What we do not interpret (policy tags, default values, collation ...) is kept in `attributes`, so that sending a schema
/// back changes nothing but what was meant.
package struct FieldSchema: Hashable, Sendable {
    package enum Mode: String, Sendable {
        case nullable = "NULLABLE"
        case required = "REQUIRED"
        case repeated = "REPEATED"
    }

    package var name: String
    /// As the server or the file spelled it, `INTEGER` or `INT64`; compare ``canonicalType``.
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

    /// The GoogleSQL name of the type: the REST API's legacy names and SQL's aliases mean the same type.
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
        "JSON",
        "GEOGRAPHY", "INTERVAL", "STRUCT",
    ]
}
