#if EmbeddedWarehouse
    /// A field as a column of SQLite; its name and type have been validated.
    ///
    /// The declared type is the logical type and the way it is stored, `TIMESTAMP_TEXT`: SQLite reads the affinity from it
    /// (https://www.sqlite.org/datatype3.html#determination_of_column_affinity), and a query reads the logical type back from it.
    /// Checks hold each column to the form in which values are written, so that text order is time order and what is read is what
    /// was written; lengths and precisions (`STRING(20)`) are not enforced, nor is REQUIRED within a RECORD.
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

        /// The logical type in a declared type; `nil` where no column of ours declared it.
        static func logicalType(_ declared: String) -> String? {
            guard let separator = declared.lastIndex(of: "_"),
                Storage(rawValue: String(declared[declared.index(after: separator)...])) != nil
            else { return nil }
            return String(declared[..<separator])
        }

        /// The column in CREATE TABLE and ALTER TABLE ADD COLUMN.
        var definition: String {
            let name = "`\(field.name)`"
            let logical = field.mode == .repeated ? "ARRAY" : field.canonicalType
            let storage = SQLType(scalarName: logical).map(Self.storage) ?? .text
            var sql = "\(name) \(logical)_\(storage.rawValue)"
            if field.mode == .required { sql += " NOT NULL" }
            // Without a name: CREATE TABLE reads the text of all tables, so it grows slower with shorter ones.
            if let check = Self.check(logical, name) { sql += " CHECK (\(check))" }
            return sql
        }

        /// NULL passes: a check fails on false only.
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
#endif
