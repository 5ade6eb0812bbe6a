import FoundationEssentials
import HTTPTransport
import JobRuntime
import Warehouse

/// Converts the strings of a query's reply into typed values, according to the reply's own schema.
struct ResultReader {
    var operation: String
    var schema: [FieldSchema]

    func row(_ row: ResultRow) throws -> Row {
        Row(try fields(row, schema))
    }

    private func fields(_ row: ResultRow, _ schema: [FieldSchema]) throws -> [SQLValue.Field] {
        guard row.f.count == schema.count else {
            throw problem("a row has \(row.f.count) values for \(schema.count) columns")
        }
        return try zip(schema, row.f).map { SQLValue.Field($0.name, try value($1.v, $0)) }
    }

    private func value(_ value: ResultValue, _ field: FieldSchema) throws -> SQLValue {
        guard field.mode == .repeated else { return try element(value, field) }
        guard case .repeated(let cells) = value else {
            if case .null = value { return .array(of: try type(of: field), []) }
            throw problem("column \(field.name) is REPEATED and no list came")
        }
        return .array(of: try type(of: field), try cells.map { try element($0.v, field) })
    }

    private func element(_ value: ResultValue, _ field: FieldSchema) throws -> SQLValue {
        switch value {
        case .null: return .null(try type(of: field))
        case .record(let row):
            guard field.canonicalType == "STRUCT" else {
                throw problem("column \(field.name) is no RECORD and one came")
            }
            return .structure(try fields(row, field.fields))
        case .repeated: throw problem("column \(field.name) is not REPEATED and a list came")
        case .scalar(let text):
            guard let value = Self.scalar(text, field.canonicalType) else {
                throw problem("column \(field.name): a \(field.canonicalType) came that cannot be read")
            }
            return value
        }
    }

    private func type(of field: FieldSchema) throws -> SQLType {
        if field.canonicalType == "STRUCT" {
            return .structure(
                try field.fields.map {
                    SQLType.Field($0.name, $0.mode == .repeated ? .array(try type(of: $0)) : try type(of: $0))
                })
        }
        return SQLType(scalarName: field.canonicalType) ?? .string
    }

    private static func scalar(_ text: String, _ type: String) -> SQLValue? {
        switch type {
        case "INT64": Int64(text).map { .int64($0) }
        case "FLOAT64": Double(text).map { .float64($0) }
        case "BOOL": ["true": SQLValue.bool(true), "false": .bool(false)][text.lowercased()]
        case "NUMERIC", "BIGNUMERIC": .numeric(text)
        case "BYTES": Data(base64Encoded: text).map { .bytes($0) }
        case "DATE": CivilDate(text).map { .date($0) }
        // The unit is microseconds, because every query asks for useInt64Timestamp (fact BQ-20).
        case "TIMESTAMP": Int64(text).map { .timestamp(Timestamp(microseconds: $0)) }
        case "JSON": .json(text)
        case "STRUCT": nil
        default: .string(text)
        }
    }

    private func problem(_ message: String) -> WarehouseError {
        WarehouseError(.unexpectedResult, operation: operation, message: message, certainty: .done)
    }
}

/// A row of the form `{"f": [{"v": ...}, ...]}`.
struct ResultRow: Decodable, Sendable {
    struct Cell: Decodable, Sendable {
        var v: ResultValue
    }

    var f: [Cell]
}

/// The value of a cell: a string for a scalar, cells for a REPEATED field, or a row for a RECORD.
enum ResultValue: Decodable, Sendable {
    case null
    case scalar(String)
    case repeated([ResultRow.Cell])
    case record(ResultRow)

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let text = try? container.decode(String.self) {
            self = .scalar(text)
        } else if let cells = try? container.decode([ResultRow.Cell].self) {
            self = .repeated(cells)
        } else {
            self = .record(try container.decode(ResultRow.self))
        }
    }
}
