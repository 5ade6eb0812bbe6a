import JobRuntime
import Synchronization
import Warehouse

/// A GoogleSQL script, cut into the statements that SQLite runs in order.
///
/// Statements are SELECT, INSERT, UPDATE and DELETE; anything else throws `notImplemented`. Every script runs in one transaction,
/// so BEGIN TRANSACTION and COMMIT TRANSACTION are left out.
struct SQLiteScript: Sendable {
    struct Part: Sendable {
        var sql: String
        /// Whether the statement changes rows. Its outcome is their number then.
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

/// Translates each text once for each choice of its parameters' types.
final class SQLiteScripts: Sendable {
    private struct Key: Hashable {
        var sql: String
        var types: [SQLType]
        var names: [String]
    }

    private static let limit = 500
    private let known = Mutex<[Key: SQLiteScript]>([:])

    func script(of statement: Statement) throws -> SQLiteScript {
        let key = Key(
            sql: statement.sql, types: statement.parameters.map(\.value.type), names: statement.parameters.map(\.name))
        if let script = known.withLock({ $0[key] }) { return script }
        let script = try SQLiteScript(statement)
        known.withLock { known in
            if known.count == Self.limit { known.removeAll() }
            known[key] = script
        }
        return script
    }
}

/// Translates GoogleSQL into SQLite's SQL:
///
/// - `IN UNNEST(@list)` and `FROM UNNEST(@rows) AS r`: array parameters are bound as JSON text. The fields of a struct become
///   columns. The column of a scalar element has the name that follows AS.
/// - `IF`, `GREATEST` and `LEAST` get their SQLite names. They need two arguments or more, because a `max` of one argument is an
///   aggregate.
/// - `/` never divides integers.
/// - `FOR SYSTEM_TIME AS OF @instant` is left out: this warehouse has no past, so every instant shows the present.
/// - `` `region-us`.INFORMATION_SCHEMA.COLUMNS `` becomes a query of the stored resources, with the columns `table_schema`,
///   `table_name`, `column_name` and `data_type`. It shows all datasets, whatever the region.
/// - The type in a `CAST`: SQLite would read STRING and TIMESTAMP as numbers. A cast keeps the stored text. A cast from TIMESTAMP
///   to DATE would have to change it, so it throws `notImplemented`.
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
            if try rewriteTimeTravel() || rewriteColumnsView() { continue }
            if token.isSymbol("(") { casts.append(position > 0 && tokens[position - 1].isWord("CAST")) }
            if token.isSymbol(")") { _ = casts.popLast() }
            emit(try replacement(of: token) ?? token.text, space: token.followsSpace)
            position += 1
        }
        return output
    }

    private mutating func rewriteTimeTravel() throws -> Bool {
        guard isWord("FOR", at: position), isWord("SYSTEM_TIME", at: position + 1) else { return false }
        guard isWord("AS", at: position + 2), isWord("OF", at: position + 3), position + 4 < tokens.count,
            tokens[position + 4].kind == .parameter
        else { throw problem(.notImplemented, "FOR SYSTEM_TIME AS OF anything but a parameter") }
        position += 5
        return true
    }

    private mutating func rewriteColumnsView() throws -> Bool {
        guard tokens[position].kind == .quotedIdentifier, tokens[position].text.hasPrefix("`region-"),
            isSymbol(".", at: position + 1), isWord("INFORMATION_SCHEMA", at: position + 2)
        else { return false }
        guard isSymbol(".", at: position + 3), isWord("COLUMNS", at: position + 4) else {
            throw problem(.notImplemented, "a view of INFORMATION_SCHEMA other than COLUMNS")
        }
        emit(EmbeddedMetadata.columnsView, space: tokens[position].followsSpace)
        position += 5
        return true
    }

    private func isWord(_ word: String, at index: Int) -> Bool { index < tokens.count && tokens[index].isWord(word) }

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
        // LIMIT keeps SQLite from merging the subquery into the statement around it (rule 13 of
        // https://www.sqlite.org/optoverview.html#subquery_flattening). Merged, the JSON text is read again for each row that it
        // is joined with; as a table of its own it is read once and gets an index.
        let limit = isOperand ? "" : " LIMIT -1"
        emit("(SELECT \(columns) FROM json_each(\(parameter))\(limit))", space: unnest.followsSpace)
    }

    private func columns(of element: SQLType) -> String {
        switch element {
        case .structure(let fields):
            // An index serves a comparison only if both sides have one affinity, which an expression gets from a CAST.
            return fields.map { field in
                let value = "json_extract(value, '$.\"\(field.name)\"')"
                let isText = SQLiteColumn.storage(of: field.type) == .text
                return "\(isText ? "CAST(\(value) AS TEXT)" : value) AS `\(field.name)`"
            }.joined(separator: ", ")
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

/// Cuts a GoogleSQL text into tokens, so that statements, functions and parameters can be found in it.
///
/// Throws `invalid` for an open string, comment or identifier. Throws it for a backslash in a string, too: a backslash is an escape
/// in GoogleSQL and a plain character in SQLite, so such a text belongs in a parameter.
struct SQLTokenizer {
    private let bytes: [UInt8]
    private var position = 0

    static func tokens(of sql: String) throws -> [SQLToken] {
        var tokenizer = SQLTokenizer(bytes: Array(sql.utf8))
        var tokens: [SQLToken] = []
        while let token = try tokenizer.next() { tokens.append(token) }
        return tokens
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    private mutating func next() throws -> SQLToken? {
        let start = position
        try skipSpace()
        let followsSpace = position > start
        guard let byte = peek() else { return nil }
        let begin = position
        let kind: SQLToken.Kind
        switch byte {
        case UInt8(ascii: "'"), UInt8(ascii: "\""):
            let content = try quoted(by: byte)
            let literal =
                "'\(content.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''"))'"
            return SQLToken(kind: .string, text: literal, followsSpace: followsSpace)
        case UInt8(ascii: "`"):
            _ = try quoted(by: byte)
            kind = .quotedIdentifier
        case UInt8(ascii: "@") where peek(1)?.isWordCharacter == true:
            position += 1
            skipWord()
            kind = .parameter
        case _ where byte.isWordCharacter || byte >= 0x80:
            skipWord()
            kind = .word
        default:
            position += 1
            kind = .symbol
        }
        return SQLToken(kind: kind, text: text(begin..<position), followsSpace: followsSpace)
    }

    private mutating func skipSpace() throws {
        while let byte = peek() {
            if byte == UInt8(ascii: "#") || (byte == UInt8(ascii: "-") && peek(1) == UInt8(ascii: "-")) {
                while let byte = peek(), byte != UInt8(ascii: "\n") { position += 1 }
            } else if byte == UInt8(ascii: "/") && peek(1) == UInt8(ascii: "*") {
                position += 2
                while peek() != UInt8(ascii: "*") || peek(1) != UInt8(ascii: "/") {
                    if peek() == nil { throw problem("Unclosed comment") }
                    position += 1
                }
                position += 2
            } else if byte == UInt8(ascii: " ") || (0x09...0x0D).contains(byte) {
                position += 1
            } else {
                return
            }
        }
    }

    private mutating func skipWord() {
        while let byte = peek(), byte.isWordCharacter || byte >= 0x80 { position += 1 }
    }

    /// The text between the quotes.
    private mutating func quoted(by quote: UInt8) throws -> String {
        let begin = position + 1
        position = begin
        while let byte = peek(), byte != quote {
            if byte == UInt8(ascii: "\\") {
                throw problem("A backslash in a literal: pass the text as a parameter")
            }
            position += 1
        }
        guard peek() != nil else { throw problem("Unclosed string literal or identifier") }
        position += 1
        return text(begin..<position - 1)
    }

    private func peek(_ offset: Int = 0) -> UInt8? {
        position + offset < bytes.count ? bytes[position + offset] : nil
    }

    private func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    private func problem(_ message: String) -> WarehouseError {
        WarehouseError(.invalid, operation: "read the statement", message: message)
    }
}

/// A piece of a GoogleSQL text. A comment counts as space.
struct SQLToken: Hashable {
    enum Kind {
        case word, parameter, string, quotedIdentifier, symbol
    }

    var kind: Kind
    var text: String
    var followsSpace: Bool

    func isWord(_ word: String) -> Bool { kind == .word && text.uppercased() == word }
    func isSymbol(_ symbol: String) -> Bool { kind == .symbol && text == symbol }
}
