#if EmbeddedWarehouse
    /// A GoogleSQL script as the statements that SQLite runs, in order.
    ///
    /// Statements are SELECT, INSERT, UPDATE and DELETE; anything else throws `notImplemented`. The script is one transaction
    /// anyway, so its own BEGIN TRANSACTION and COMMIT TRANSACTION are left out.
    struct SQLiteScript {
        struct Part {
            var sql: String
            /// It changes rows, and the number of them is its outcome.
            var isChange: Bool
        }

        let parts: [Part]
        var isReadOnly: Bool { !parts.contains(where: \.isChange) }

        init(_ statement: Statement) throws {
            let parameters = Dictionary(
                statement.parameters.map { ($0.name, $0.value.type) }, uniquingKeysWith: { first, _ in first })
            parts = try SQLTokenizer.tokens(of: statement.sql)
                .split { $0.isSymbol(";") }
                .filter { !Self.isTransactionControl($0) }
                .map { tokens in
                    var rewriter = SQLiteRewriter(Array(tokens), parameters: parameters)
                    return Part(sql: try rewriter.rewritten(), isChange: try Self.isChange(tokens))
                }
            if parts.isEmpty {
                throw WarehouseError(.invalid, operation: "read the statement", message: "Syntax error: no statement")
            }
        }

        private static func isTransactionControl(_ tokens: ArraySlice<SQLToken>) -> Bool {
            guard let first = tokens.first, first.isWord("BEGIN") || first.isWord("COMMIT") else { return false }
            return tokens.dropFirst().allSatisfy { $0.isWord("TRANSACTION") }
        }

        private static func isChange(_ tokens: ArraySlice<SQLToken>) throws -> Bool {
            let keyword = tokens.first { !$0.isSymbol("(") }?.text.uppercased() ?? ""
            switch keyword {
            case "SELECT", "WITH": return false
            case "INSERT", "UPDATE", "DELETE": return true
            default:
                let others = [
                    "MERGE", "CREATE", "ALTER", "DROP", "TRUNCATE", "DECLARE", "SET", "BEGIN", "ROLLBACK", "CALL",
                ]
                if others.contains(keyword) {
                    throw WarehouseError(
                        .notImplemented, operation: "read the statement",
                        message: "\(keyword) is not a statement of the embedded warehouse")
                }
                throw WarehouseError(
                    .invalid, operation: "read the statement", message: "Syntax error: Unexpected \"\(keyword)\"")
            }
        }
    }
#endif
