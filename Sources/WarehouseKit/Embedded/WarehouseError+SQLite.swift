#if EmbeddedWarehouse
    import GRDB

    extension WarehouseError {
        /// What SQLite refused, in the terms of BigQuery. Neither the statement nor its arguments are part of it.
        init(_ error: DatabaseError, operation: String) {
            let message = error.message ?? "SQLite error \(error.extendedResultCode.rawValue)"
            switch error.resultCode {
            case .SQLITE_BUSY, .SQLITE_LOCKED:
                self.init(.rateLimited, operation: operation, message: "the database file is busy", retry: .same)
            case .SQLITE_CONSTRAINT:
                self.init(.invalid, operation: operation, message: Self.constraintText(error, message))
            case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_AUTH:
                self.init(.accessDenied, operation: operation, message: message, endsRun: true)
            case .SQLITE_CANTOPEN:
                self.init(.notFound, operation: operation, message: message, endsRun: true)
            case .SQLITE_FULL, .SQLITE_IOERR, .SQLITE_NOMEM:
                self.init(.backendError, operation: operation, message: message, endsRun: true)
            case .SQLITE_NOTADB, .SQLITE_CORRUPT:
                self.init(.invalid, operation: operation, message: message, endsRun: true)
            default:
                if let table = Self.suffix(of: message, after: "no such table: ") {
                    self.init(.notFound, operation: operation, message: "Not found: Table \(table)")
                } else {
                    self.init(.invalid, operation: operation, message: message)
                }
            }
        }

        // SQLite tells a missing table and the column of a failed constraint in its text only:
        // https://www.sqlite.org/rescode.html
        private static func constraintText(_ error: DatabaseError, _ message: String) -> String {
            if let column = suffix(of: message, after: "NOT NULL constraint failed: ") {
                return "Required field \(column.split(separator: ".").last.map(String.init) ?? column) cannot be null"
            }
            return suffix(of: message, after: "CHECK constraint failed: ").map {
                "A value is not of its column's type: \($0)"
            } ?? message
        }

        private static func suffix(of text: String, after prefix: String) -> String? {
            text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : nil
        }
    }
#endif
