#if EmbeddedWarehouse
    /// Cuts a GoogleSQL text into tokens, as far as it takes to find statements, functions and parameters in it.
    ///
    /// Throws `invalid` for an open string, comment or identifier, and for a backslash in a string: it is an escape in
    /// GoogleSQL and a plain character in SQLite, so such text belongs into a parameter.
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

        /// What stands between the quotes.
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
#endif
