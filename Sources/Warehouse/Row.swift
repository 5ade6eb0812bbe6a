import HTTPTransport
package import JobRuntime

/// One row of a result. Column names compare without case, as in BigQuery.
///
/// ```swift
/// let slug = try row.string("org_slug")
/// let limit = try row.optionalInt64("daily_limit")    // nil for NULL
/// ```
///
/// The readers throw ``WarehouseError`` (`unexpectedResult`) for a column that is absent or of another type. For NULL they throw,
/// too; the optional readers return `nil`. BOOL, TIMESTAMP and DATE may come as text or as 0 and 1, because the embedded
/// warehouse does not know the type of an expression.
package struct Row: Hashable, Sendable {
    package var fields: [SQLValue.Field]

    package init(_ fields: [SQLValue.Field]) {
        self.fields = fields
    }

    package subscript(column: String) -> SQLValue? {
        fields.first { $0.name == column }?.value ?? fields.first { $0.name.lowercased() == column.lowercased() }?.value
    }

    package func string(_ column: String) throws -> String { try required(column, optionalString(column)) }

    package func optionalString(_ column: String) throws -> String? {
        try read(column, "STRING") { if case .string(let value) = $0 { value } else { nil } }
    }

    package func int64(_ column: String) throws -> Int64 { try required(column, optionalInt64(column)) }

    package func optionalInt64(_ column: String) throws -> Int64? {
        try read(column, "INT64") { if case .int64(let value) = $0 { value } else { nil } }
    }

    package func bool(_ column: String) throws -> Bool { try required(column, optionalBool(column)) }

    package func optionalBool(_ column: String) throws -> Bool? {
        try read(column, "BOOL") {
            switch $0 {
            case .bool(let value): value
            case .int64(0), .string("false"): false
            case .int64(1), .string("true"): true
            default: nil
            }
        }
    }

    package func timestamp(_ column: String) throws -> Timestamp { try required(column, optionalTimestamp(column)) }

    package func optionalTimestamp(_ column: String) throws -> Timestamp? {
        try read(column, "TIMESTAMP") {
            switch $0 {
            case .timestamp(let value): value
            case .string(let text): Timestamp(text)
            default: nil
            }
        }
    }

    package func date(_ column: String) throws -> CivilDate { try required(column, optionalDate(column)) }

    package func optionalDate(_ column: String) throws -> CivilDate? {
        try read(column, "DATE") {
            switch $0 {
            case .date(let value): value
            case .string(let text): CivilDate(text)
            default: nil
            }
        }
    }

    private func read<Value>(_ column: String, _ type: String, _ cast: (SQLValue) -> Value?) throws -> Value? {
        guard let value = self[column] else { throw problem("the result has no column \(column)") }
        if value.isNull { return nil }
        guard let cast = cast(value) else { throw problem("column \(column) is \(value.type.text), not \(type)") }
        return cast
    }

    private func required<Value>(_ column: String, _ value: Value?) throws -> Value {
        guard let value else { throw problem("column \(column) is NULL") }
        return value
    }

    private func problem(_ message: String) -> WarehouseError {
        WarehouseError(.unexpectedResult, operation: "read a result row", message: message, certainty: .done)
    }
}
