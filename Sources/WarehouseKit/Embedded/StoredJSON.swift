#if EmbeddedWarehouse
    import FoundationEssentials
    import GRDB
    import JobRuntime

    /// Arrays and structs as the JSON text in which they are stored and bound. Scalars have the form that their own column
    /// would hold; BYTES are Base64, and numbers that JSON does not have are text.
    enum StoredJSON {
        static func value(of value: SQLValue) -> JSONValue {
            switch value {
            case .null: .null
            case .string(let text), .numeric(let text), .json(let text): .string(text)
            case .bytes(let data): .string(data.base64EncodedString())
            case .int64(let number): .integer(number)
            case .float64(let number): number.isFinite ? .number(number) : .string(String(number))
            case .bool(let flag): .bool(flag)
            case .timestamp(let instant): .string(instant.sqlText)
            case .date(let date): .string(date.description)
            case .array(_, let elements): .array(elements.map(Self.value))
            case .structure(let fields):
                .object(Dictionary(fields.map { ($0.name, Self.value(of: $0.value)) }, uniquingKeysWith: { $1 }))
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
                    object.map { ($0.key.lowercased(), $0.value) }, uniquingKeysWith: { first, _ in first })
                var fields: [SQLValue.Field] = []
                for inner in field.fields {
                    guard let value = read(values[inner.name.lowercased()] ?? .null, as: inner) else { return nil }
                    fields.append(SQLValue.Field(inner.name, value))
                }
                return .structure(fields)
            case (.bool, .bool(let flag)): return .bool(flag)
            case (.int64, .integer(let number)): return .int64(number)
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
        /// The type of the field, or of one element of it where it is repeated.
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
#endif
