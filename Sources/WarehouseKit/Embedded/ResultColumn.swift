#if EmbeddedWarehouse
    import GRDB

    /// A column of a result and what is known of its type.
    struct ResultColumn {
        enum Kind {
            case scalar(SQLType)
            case nested(FieldSchema)
            case expression
        }

        var name: String
        var kind: Kind

        func value(_ stored: DatabaseValue) throws -> SQLValue {
            let value: SQLValue? =
                switch kind {
                case .expression: SQLValue(stored)
                case .scalar(let type): SQLValue(stored, of: type)
                case .nested(let field): StoredJSON.read(String.fromDatabaseValue(stored) ?? "null", as: field)
                }
            guard let value else {
                throw WarehouseError(
                    .unexpectedResult, operation: "read a result row",
                    message: "column \(name) holds no value of its type")
            }
            return value
        }
    }
#endif
