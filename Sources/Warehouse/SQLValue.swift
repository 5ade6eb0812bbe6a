package import FoundationEssentials
package import JobRuntime

/// A value of a query parameter or of a result.
///
/// NUMERIC and BIGNUMERIC keep BigQuery's decimal text, so nothing is rounded. DATETIME, TIME, GEOGRAPHY and INTERVAL are text
/// in `string`.
package enum SQLValue: Hashable, Sendable {
    case null(SQLType)
    case string(String)
    case bytes(Data)
    case int64(Int64)
    case float64(Double)
    case numeric(String)
    case bool(Bool)
    case timestamp(Timestamp)
    case date(CivilDate)
    case json(String)
    case array(of: SQLType, [SQLValue])
    case structure([Field])

    package struct Field: Hashable, Sendable {
        package var name: String
        package var value: SQLValue

        package init(_ name: String, _ value: SQLValue) {
            self.name = name
            self.value = value
        }
    }

    package var isNull: Bool {
        if case .null = self { true } else { false }
    }

    package var type: SQLType {
        switch self {
        case .null(let type): type
        case .string: .string
        case .bytes: .bytes
        case .int64: .int64
        case .float64: .float64
        case .numeric: .numeric
        case .bool: .bool
        case .timestamp: .timestamp
        case .date: .date
        case .json: .json
        case .array(let element, _): .array(element)
        case .structure(let fields): .structure(fields.map { SQLType.Field($0.name, $0.value.type) })
        }
    }

    package static func strings(_ values: some Sequence<String>) -> SQLValue {
        .array(of: .string, values.map { .string($0) })
    }
}

/// A GoogleSQL type of a query parameter or a result column.
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

    /// Finds a scalar type by BigQuery's name or by a legacy name of the REST API.
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
