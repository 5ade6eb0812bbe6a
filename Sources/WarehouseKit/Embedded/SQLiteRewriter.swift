#if EmbeddedWarehouse
    /// Turns what GoogleSQL writes in another way into SQLite's:
    ///
    /// - `IN UNNEST(@list)` and `FROM UNNEST(@rows) AS r`, for array parameters, which are bound as JSON text. Elements that are
    ///   structs become columns; the column of a scalar element has the name that follows AS;
    /// - `IF`, `GREATEST` and `LEAST`, which have other names. A `max` of one argument would be an aggregate: give two or more;
    /// - `/`, which never is a division of integers;
    /// - the type in a `CAST`: SQLite would take STRING or TIMESTAMP for a number. A cast keeps the stored text, so one that
    ///   would have to change it, from TIMESTAMP to DATE, throws `notImplemented`.
    struct SQLiteRewriter {
        private let tokens: [SQLToken]
        private let parameters: [String: SQLType]
        private var position = 0
        private var output = ""
        /// For each open parenthesis, whether it belongs to a CAST.
        private var casts: [Bool] = []

        init(_ tokens: [SQLToken], parameters: [String: SQLType]) {
            self.tokens = tokens
            self.parameters = parameters
        }

        mutating func rewritten() throws -> String {
            while position < tokens.count {
                let token = tokens[position]
                if token.isWord("UNNEST"), isSymbol("(", at: position + 1) {
                    try rewriteUnnest()
                    continue
                }
                if token.isSymbol("(") { casts.append(position > 0 && tokens[position - 1].isWord("CAST")) }
                if token.isSymbol(")") { _ = casts.popLast() }
                emit(try replacement(of: token) ?? token.text, space: token.followsSpace)
                position += 1
            }
            return output
        }

        private func replacement(of token: SQLToken) throws -> String? {
            if token.isSymbol("/") { return "* 1.0 /" }
            guard token.kind == .word else { return nil }
            let word = token.text.uppercased()
            if isSymbol("(", at: position + 1) { return Self.functions[word] }
            guard casts.last == true, position > 1, tokens[position - 1].isWord("AS"),
                let type = SQLType(scalarName: word)
            else { return nil }
            let operand = tokens[position - 2]
            if [.date, .timestamp].contains(type), operand.kind != .parameter, !operand.isWord("NULL") {
                throw problem(.notImplemented, "CAST to \(word) of anything but a parameter or NULL")
            }
            return SQLiteColumn.storage(of: type).castName
        }

        private static let functions = ["IF": "iif", "GREATEST": "max", "LEAST": "min"]

        private mutating func rewriteUnnest() throws {
            let unnest = tokens[position]
            guard position + 3 < tokens.count, tokens[position + 2].kind == .parameter, isSymbol(")", at: position + 3)
            else {
                throw problem(.notImplemented, "UNNEST takes an array parameter and nothing else")
            }
            let parameter = tokens[position + 2].text
            guard case .array(let element)? = parameters[String(parameter.dropFirst())] else {
                throw problem(.invalid, "Values referenced in UNNEST must be arrays: \(parameter)")
            }
            if element == .bytes { throw problem(.notImplemented, "UNNEST of ARRAY<BYTES>") }
            let isOperand = position > 0 && tokens[position - 1].isWord("IN")
            position += 4
            let columns = isOperand ? "value" : columns(of: element)
            emit("(SELECT \(columns) FROM json_each(\(parameter)))", space: unnest.followsSpace)
        }

        private func columns(of element: SQLType) -> String {
            switch element {
            case .structure(let fields):
                return fields.map { "json_extract(value, '$.\"\($0.name)\"') AS `\($0.name)`" }.joined(separator: ", ")
            default:
                guard position + 1 < tokens.count, tokens[position].isWord("AS") else { return "value" }
                return "value AS \(tokens[position + 1].text)"
            }
        }

        private func isSymbol(_ symbol: String, at index: Int) -> Bool {
            index < tokens.count && tokens[index].isSymbol(symbol)
        }

        private mutating func emit(_ text: String, space: Bool) {
            if space && !output.isEmpty { output += " " }
            output += text
        }

        private func problem(_ code: WarehouseError.Code, _ message: String) -> WarehouseError {
            WarehouseError(code, operation: "read the statement", message: message)
        }
    }
#endif
