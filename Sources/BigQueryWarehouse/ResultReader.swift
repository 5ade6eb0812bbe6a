import FoundationEssentials
import HTTPTransport
import JobRuntime
import Warehouse

/// Reads the rows of a query's reply, according to the reply's own schema.
///
/// A row has the form `{"f": [{"v": ...}, ...]}`. A value is a text for a scalar, a list of `{"v": ...}` for a REPEATED field, and a
/// row for a RECORD. Each row is read from the bytes as it is handed over, so a page of millions of rows needs no more memory than
/// its bytes.
struct ResultReader {
    /// The rows that are handed over at once.
    static let rowsAtOnce = 1000

    var operation: String
    var schema: [FieldSchema]

    /// Hands over the rows of a page, once each. A page without rows is one part.
    /// - Parameter rows: A JSON list.
    func read(_ rows: Data?, eachPart handle: (_ rows: [Row]) throws -> Void) throws {
        guard let rows else { return try handle([]) }
        do {
            try JSONReader.read(rows) { json in
                var part: [Row] = []
                var isHandedOver = false
                try json.open("[")
                while try json.nextElement() {
                    part.append(Row(try fields(&json, schema)))
                    if part.count == Self.rowsAtOnce {
                        try handle(part)
                        part.removeAll(keepingCapacity: true)
                        isHandedOver = true
                    }
                }
                if !part.isEmpty || !isHandedOver { try handle(part) }
            }
        } catch is JSONReader.Malformed {
            throw problem("the reply is not what it should be")
        }
    }

    private func fields(_ json: inout JSONReader, _ schema: [FieldSchema]) throws -> [SQLValue.Field] {
        var fields: [SQLValue.Field]?
        try json.open("{")
        while let key = try json.nextKey() {
            // Of a key that comes twice, the first value counts, as for Foundation's decoder.
            guard key == "f", fields == nil else {
                try json.skip()
                continue
            }
            var found: [SQLValue.Field] = []
            found.reserveCapacity(schema.count)
            var count = 0
            try json.open("[")
            while try json.nextElement() {
                if count < schema.count {
                    let field = schema[count]
                    found.append(SQLValue.Field(field.name, try cell(&json) { try value(&$0, field) }))
                } else {
                    try json.skip()
                }
                count += 1
            }
            guard count == schema.count else {
                throw problem("a row has \(count) values for \(schema.count) columns")
            }
            fields = found
        }
        guard let fields else { throw json.malformed }
        return fields
    }

    /// Reads `{"v": ...}`.
    private func cell(_ json: inout JSONReader, _ read: (inout JSONReader) throws -> SQLValue) throws -> SQLValue {
        var value: SQLValue?
        try json.open("{")
        while let key = try json.nextKey() {
            if key == "v", value == nil { value = try read(&json) } else { try json.skip() }
        }
        guard let value else { throw json.malformed }
        return value
    }

    private func value(_ json: inout JSONReader, _ field: FieldSchema) throws -> SQLValue {
        guard field.mode == .repeated else { return try element(&json, field) }
        let type = try type(of: field)
        var elements: [SQLValue] = []
        switch json.next {
        case UInt8(ascii: "n"): try json.null()
        case UInt8(ascii: "["):
            try json.open("[")
            while try json.nextElement() { elements.append(try cell(&json) { try element(&$0, field) }) }
        default: throw problem("column \(field.name) is REPEATED and no list came")
        }
        return .array(of: type, elements)
    }

    private func element(_ json: inout JSONReader, _ field: FieldSchema) throws -> SQLValue {
        switch json.next {
        case UInt8(ascii: "n"):
            try json.null()
            return .null(try type(of: field))
        case UInt8(ascii: "{"):
            guard field.canonicalType == "STRUCT" else {
                throw problem("column \(field.name) is no RECORD and one came")
            }
            return .structure(try fields(&json, field.fields))
        case UInt8(ascii: "["): throw problem("column \(field.name) is not REPEATED and a list came")
        default:
            guard let value = Self.scalar(try json.string(), field.canonicalType) else {
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

/// The rows of a result that is kept as a whole. A job has 512 MB, so a result that is larger than the limit is an error.
struct CollectedRows {
    static let mostBytes = 128 << 20

    let operation: String
    private(set) var rows: [Row] = []
    private var bytes = 0

    init(operation: String) {
        self.operation = operation
    }

    mutating func append(_ part: [Row]) throws {
        for row in part { bytes += 48 + Self.bytes(row.fields) }
        guard bytes <= Self.mostBytes else {
            throw WarehouseError(
                .resourcesExceeded, operation: operation,
                message: "the result takes more than \(Self.mostBytes >> 20) MB of memory, the most for one statement",
                certainty: .done)
        }
        rows += part
    }

    private static func bytes(_ fields: [SQLValue.Field]) -> Int {
        fields.reduce(0) { $0 + MemoryLayout<SQLValue.Field>.stride + bytes($1.value) }
    }

    /// The memory beside the value itself.
    private static func bytes(_ value: SQLValue) -> Int {
        switch value {
        case .string(let text), .numeric(let text), .json(let text): text.utf8.count
        case .bytes(let data): data.count
        case .array(_, let elements):
            elements.reduce(48) { $0 + MemoryLayout<SQLValue>.stride + bytes($1) }
        case .structure(let fields): 48 + bytes(fields)
        default: 0
        }
    }
}
