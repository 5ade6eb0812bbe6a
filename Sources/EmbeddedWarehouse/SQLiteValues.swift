import FoundationEssentials
import GRDB
import JobRuntime
import Warehouse

extension SQLValue {
    /// The value as it is bound and stored; arrays and structs are JSON text.
    func databaseValue() throws -> DatabaseValue {
        switch self {
        case .null: .null
        case .string(let value), .numeric(let value), .json(let value): value.databaseValue
        case .bytes(let value): value.databaseValue
        case .int64(let value): value.databaseValue
        case .float64(let value) where value.isNaN:
            throw WarehouseError(.notImplemented, operation: "bind a parameter", message: "NaN would become NULL")
        case .float64(let value): value.databaseValue
        case .bool(let value): (value ? 1 : 0).databaseValue
        case .timestamp(let value): value.sqlText.databaseValue
        case .date(let value): value.description.databaseValue
        case .array, .structure: try StoredJSON.text(of: StoredJSON.value(of: self)).databaseValue
        }
    }

    /// Reads a value that ``databaseValue()`` wrote to a column of this type. `nil` for a text that is no value of the type.
    init?(_ stored: DatabaseValue, of type: SQLType) {
        switch (type, stored.storage) {
        case (_, .null): self = .null(type)
        case (.bool, .int64(let value)): self = .bool(value != 0)
        case (.int64, .int64(let value)): self = .int64(value)
        case (.float64, .double(let value)): self = .float64(value)
        case (.bytes, .blob(let value)): self = .bytes(value)
        case (.timestamp, .string(let text)):
            guard let value = Timestamp(text) else { return nil }
            self = .timestamp(value)
        case (.date, .string(let text)):
            guard let value = CivilDate(text) else { return nil }
            self = .date(value)
        case (.numeric, .string(let text)), (.bigNumeric, .string(let text)): self = .numeric(text)
        case (.json, .string(let text)): self = .json(text)
        case (_, .string(let text)): self = .string(text)
        default: return nil
        }
    }

    /// Reads the value of an expression. Only its storage class is known, so times are text and truth values are numbers.
    init(_ stored: DatabaseValue) {
        switch stored.storage {
        case .null: self = .null(.string)
        case .int64(let value): self = .int64(value)
        case .double(let value): self = .float64(value)
        case .string(let value): self = .string(value)
        case .blob(let value): self = .bytes(value)
        }
    }
}

/// Converts arrays and structs to and from the JSON text in which they are stored and bound. Scalars have the form that they have
/// in a column of their own. BYTES are Base64, and numbers that JSON does not have are text.
enum StoredJSON {
    static func value(of value: SQLValue) -> JSONValue {
        switch value {
        case .null: .null
        case .string(let text), .numeric(let text), .json(let text): .string(text)
        case .bytes(let data): .string(data.base64EncodedString())
        case .int64(let number): .integer(Int(number))
        case .float64(let number): number.isFinite ? .number(number) : .string(String(number))
        case .bool(let flag): .bool(flag)
        case .timestamp(let instant): .string(instant.sqlText)
        case .date(let date): .string(date.description)
        case .array(_, let elements): .array(elements.map(Self.value))
        case .structure(let fields):
            .object(JSONObject(fields.map { ($0.name, Self.value(of: $0.value)) }))
        }
    }

    static func text(of value: JSONValue) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// The content of a RECORD or REPEATED column; `nil` for a text that does not fit the field.
    static func read(_ text: String, as field: FieldSchema) -> SQLValue? {
        guard let json = try? JSONDecoder().decode(JSONValue.self, from: Data(text.utf8)) else { return nil }
        return read(json, as: field)
    }

    private static func read(_ json: JSONValue, as field: FieldSchema) -> SQLValue? {
        guard field.mode == .repeated else { return element(json, of: field) }
        if json == .null { return .array(of: field.elementSQLType, []) }
        guard let elements = json.array?.map({ element($0, of: field) }), !elements.contains(nil) else {
            return nil
        }
        return .array(of: field.elementSQLType, elements.compactMap(\.self))
    }

    private static func element(_ json: JSONValue, of field: FieldSchema) -> SQLValue? {
        let type = field.elementSQLType
        switch (type, json) {
        case (_, .null): return .null(type)
        case (.structure, .object(let object)):
            let values = Dictionary(
                object.members.map { ($0.key.lowercased(), $0.value) }, uniquingKeysWith: { first, _ in first })
            var fields: [SQLValue.Field] = []
            for inner in field.fields {
                guard let value = read(values[inner.name.lowercased()] ?? .null, as: inner) else { return nil }
                fields.append(SQLValue.Field(inner.name, value))
            }
            return .structure(fields)
        case (.bool, .bool(let flag)): return .bool(flag)
        case (.int64, .integer(let number)): return .int64(Int64(number))
        case (.float64, .integer(let number)): return .float64(Double(number))
        case (.float64, .number(let number)): return .float64(number)
        case (.float64, .string(let text)): return Double(text).map { .float64($0) }
        case (.bytes, .string(let text)): return Data(base64Encoded: text).map { .bytes($0) }
        case (_, .string(let text)): return SQLValue(text.databaseValue, of: type)
        default: return nil
        }
    }
}

extension FieldSchema {
    /// The type of the field, or of one element of a repeated field.
    var elementSQLType: SQLType {
        if canonicalType == "STRUCT" {
            return .structure(
                fields.map {
                    SQLType.Field($0.name, $0.mode == .repeated ? .array($0.elementSQLType) : $0.elementSQLType)
                })
        }
        return SQLType(scalarName: type) ?? .string
    }
}

/// A field as a column of SQLite. Its name and type have been checked.
///
/// The declared type joins the logical type and the storage, as in `TIMESTAMP_TEXT`. SQLite reads the affinity from it
/// (https://www.sqlite.org/datatype3.html#determination_of_column_affinity), and a query reads the logical type from it. CHECK
/// constraints hold each column to the form in which values are written, so that text order is time order. Lengths and precisions
/// (`STRING(20)`) are not enforced, nor is REQUIRED within a RECORD.
struct SQLiteColumn {
    /// SQLite's storage classes, by the suffix of the declared type.
    enum Storage: String {
        case text = "TEXT"
        case integer = "INT"
        case real = "REAL"
        case blob = "BLOB"

        /// The type with this affinity in a CAST.
        var castName: String { self == .integer ? "INTEGER" : rawValue }
    }

    var field: FieldSchema

    init(_ field: FieldSchema) {
        self.field = field
    }

    static func storage(of type: SQLType) -> Storage {
        switch type {
        case .int64, .bool: .integer
        case .float64: .real
        case .bytes: .blob
        default: .text
        }
    }

    /// The logical type in a declared type; `nil` if no column of a warehouse declared it.
    static func logicalType(_ declared: String) -> String? {
        guard let separator = declared.lastIndex(of: "_"),
            Storage(rawValue: String(declared[declared.index(after: separator)...])) != nil
        else { return nil }
        return String(declared[..<separator])
    }

    /// The column in CREATE TABLE and ALTER TABLE ADD COLUMN.
    var definition: String {
        // SQLite knows no escapes within backticks, and the checked name has neither a backtick nor a backslash.
        let name = ColumnName.quoted(field.name)
        let logical = field.mode == .repeated ? "ARRAY" : field.canonicalType
        let storage = SQLType(scalarName: logical).map(Self.storage) ?? .text
        var sql = "\(name) \(logical)_\(storage.rawValue)"
        if field.mode == .required { sql += " NOT NULL" }
        // The constraint has no name, because CREATE TABLE reads the text of all tables and is faster if they are short.
        if let check = Self.check(logical, name) { sql += " CHECK (\(check))" }
        return sql
    }

    /// NULL passes, because a check fails only on false.
    private static func check(_ logical: String, _ name: String) -> String? {
        switch logical {
        case "INT64": "typeof(\(name)) IN ('integer', 'null')"
        case "FLOAT64": "typeof(\(name)) IN ('real', 'null')"
        case "BYTES": "typeof(\(name)) IN ('blob', 'null')"
        case "BOOL": "\(name) IN (0, 1)"
        case "DATE": "\(name) LIKE '____-__-__'"
        case "TIMESTAMP": "\(name) LIKE '____-__-__ __:__:__.______+00:00'"
        case "JSON", "STRUCT", "ARRAY": "\(name) IS NULL OR json_valid(\(name))"
        default: nil
        }
    }
}
