#if EmbeddedWarehouse
    import FoundationEssentials
    import GRDB
    import JobRuntime

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

        /// Reads what ``databaseValue()`` wrote to a column of this type; `nil` for a text that is none of the type.
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

        /// What an expression returned: only the storage class is known, so times and truth values are text and numbers here.
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
#endif
