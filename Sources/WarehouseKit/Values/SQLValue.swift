package import FoundationEssentials
package import JobRuntime

/// A value of a query parameter or of a result.
///
/// NUMERIC and BIGNUMERIC keep BigQuery's decimal text, so nothing is rounded; DATETIME, TIME, GEOGRAPHY and INTERVAL come as
/// their text in `string`.
package indirect enum SQLValue: Hashable, Sendable {
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
