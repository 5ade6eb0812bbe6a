/// A GoogleSQL type, as far as query parameters and result columns need it.
package indirect enum SQLType: Hashable, Sendable {
    case string, bytes, int64, float64, numeric, bigNumeric, bool, timestamp, date, dateTime, time, json, geography,
        interval
    case array(SQLType)
    case structure([Field])

    package struct Field: Hashable, Sendable {
        package var name: String
        package var type: SQLType

        package init(_ name: String, _ type: SQLType) {
            self.name = name
            self.type = type
        }
    }

    /// GoogleSQL's text for the type: `ARRAY<STRUCT<name STRING, size INT64>>`.
    package var text: String {
        switch self {
        case .array(let element): "ARRAY<\(element.text)>"
        case .structure(let fields): "STRUCT<\(fields.map { "\($0.name) \($0.type.text)" }.joined(separator: ", "))>"
        default: Self.scalarNames.first { $0.type == self }?.name ?? "STRING"
        }
    }

    /// A scalar by BigQuery's name, the legacy ones of the REST API included.
    package init?(scalarName: String) {
        let name = FieldSchema.canonicalType(scalarName)
        guard let type = Self.scalarNames.first(where: { $0.name == name })?.type else { return nil }
        self = type
    }

    private static let scalarNames: [(name: String, type: SQLType)] = [
        ("STRING", .string), ("BYTES", .bytes), ("INT64", .int64), ("FLOAT64", .float64), ("NUMERIC", .numeric),
        ("BIGNUMERIC", .bigNumeric), ("BOOL", .bool), ("TIMESTAMP", .timestamp), ("DATE", .date),
        ("DATETIME", .dateTime),
        ("TIME", .time), ("JSON", .json), ("GEOGRAPHY", .geography), ("INTERVAL", .interval),
    ]
}
