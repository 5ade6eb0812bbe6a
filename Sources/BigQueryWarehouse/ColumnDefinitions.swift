import JobRuntime
import Warehouse

/// Reads column definitions as BigQuery's DDL shows them: `id STRING NOT NULL OPTIONS(description="an id"), s STRUCT<a INT64>` (fact BQ-63).
struct ColumnDefinitions {
    /// Scalars, because a quote and a combining mark behind it are one `Character`, which is no quote.
    private let characters: [Unicode.Scalar]
    private var position = 0
    private var depth = 0
    /// BigQuery has at most 15 levels. A text with more must not fill the stack.
    private static let mostLevels = 100

    private init(_ text: String) {
        characters = Array(text.unicodeScalars)
    }

    /// The columns by name in lower case; `nil` if the text is in another form. Of a column, the name, the type and the mode are
    /// read.
    static func read(_ text: String) -> [String: FieldSchema]? {
        var reader = ColumnDefinitions(text)
        guard let fields = reader.fields(until: nil) else { return nil }
        return Dictionary(fields.map { ($0.name.lowercased(), $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// A field of the type that `INFORMATION_SCHEMA.COLUMNS.data_type` shows.
    static func field(named name: String, type: String) -> FieldSchema? {
        var reader = ColumnDefinitions(type)
        guard let field = reader.type(named: name) else { return nil }
        reader.skipSpace()
        return reader.position == reader.characters.count ? field : nil
    }

    /// The words and quoted names of an expression.
    static func words(of text: String) -> [String] {
        var reader = ColumnDefinitions(text)
        var words: [String] = []
        while let next = reader.peek() {
            if next == "`" || next.isWordPart || next == "-" {
                let isNegative = next == "-"
                if isNegative { reader.position += 1 }
                guard let word = reader.name() else { return [text] }
                words.append(isNegative ? "-\(word)" : word)
            } else {
                reader.position += 1
            }
        }
        return words
    }

    private mutating func fields(until end: Unicode.Scalar?) -> [FieldSchema]? {
        var fields: [FieldSchema] = []
        while true {
            guard let name = name(), var field = type(named: name) else { return nil }
            guard let isRequired = skipOptions(until: end) else { return nil }
            if isRequired && field.mode != .repeated { field.mode = .required }
            fields.append(field)
            guard let next = peek() else { return end == nil ? fields : nil }
            position += 1
            if next == end { return fields }
        }
    }

    private mutating func type(named name: String) -> FieldSchema? {
        skipSpace()
        let word = word().uppercased()
        guard !word.isEmpty else { return nil }
        if peek() == "<" {
            guard depth < Self.mostLevels else { return nil }
            depth += 1
            defer { depth -= 1 }
            position += 1
            switch word {
            case "ARRAY":
                guard var element = type(named: name), skip(to: ">") else { return nil }
                element.mode = .repeated
                return element
            case "STRUCT":
                guard let fields = fields(until: ">") else { return nil }
                return FieldSchema(name, "RECORD", fields: fields)
            case "RANGE":
                guard let element = type(named: name), skip(to: ">") else { return nil }
                return FieldSchema(
                    name, word, attributes: ["rangeElementType": .object(["type": .string(element.type)])])
            default: return nil
            }
        }
        var field = FieldSchema(name, word)
        guard peek() == "(" else { return field }
        position += 1
        let start = position
        while let next = peek(), next != ")" { position += 1 }
        let parameters = String(characters[start..<position]).split(separator: ",").map {
            String($0.filter { $0 != " " })
        }
        position += 1
        let names =
            ["NUMERIC", "BIGNUMERIC"].contains(field.canonicalType)
            ? ["precision", "scale"]
            : field.canonicalType == "TIMESTAMP" ? ["timestampPrecision"] : ["maxLength"]
        for (name, value) in zip(names, parameters) { field.attributes[name] = .string(value) }
        return field
    }

    /// Skips what follows a type: `COLLATE`, `DEFAULT`, `NOT NULL`, `OPTIONS(...)`.
    /// - Returns: Whether it says NOT NULL; `nil` if a quote or a parenthesis does not end.
    private mutating func skipOptions(until end: Unicode.Scalar?) -> Bool? {
        var depth = 0
        var words: [String] = []
        while let next = peek() {
            if depth == 0 && (next == "," || next == end) { break }
            switch next {
            case "(", "[": depth += 1
            case ")", "]": depth -= 1
            case "\"", "'", "`":
                guard let length = SQLLiteral.length(of: characters[position...]) else { return nil }
                position += length - 1
            case _ where next.properties.isAlphabetic && depth == 0:
                words.append(word().uppercased())
                continue
            default: break
            }
            position += 1
        }
        guard depth == 0 else { return nil }
        return zip(words, words.dropFirst()).contains { $0 == ("NOT", "NULL") }
    }

    private mutating func name() -> String? {
        skipSpace()
        guard peek() == "`" else {
            let word = word()
            return word.isEmpty ? nil : word
        }
        guard let length = SQLLiteral.length(of: characters[position...]) else { return nil }
        let name = String(characters[position + 1..<position + length - 1])
        position += length
        return name
    }

    private mutating func word() -> String {
        let start = position
        while let next = peek(), next.isWordPart { position += 1 }
        return String(characters[start..<position])
    }

    private mutating func skip(to end: Unicode.Scalar) -> Bool {
        skipSpace()
        guard peek() == end else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while let next = peek(), next.properties.isWhitespace { position += 1 }
    }

    private func peek() -> Unicode.Scalar? { position < characters.count ? characters[position] : nil }
}

/// Reads GoogleSQL's string literals: https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#literals
enum SQLLiteral {
    /// The number of characters of the literal or quoted name at the start of the text; `nil` if it does not end.
    static func length(of text: ArraySlice<Unicode.Scalar>) -> Int? {
        guard let quote = text.first else { return nil }
        let isTriple = quote != "`" && text.prefix(3).count == 3 && text.prefix(3).allSatisfy { $0 == quote }
        let size = isTriple ? 3 : 1
        var index = text.startIndex + size
        while index < text.endIndex {
            if text[index] == "\\" {
                index += 2
            } else if text[index...].prefix(size).count == size, text[index...].prefix(size).allSatisfy({ $0 == quote })
            {
                return index + size - text.startIndex
            } else {
                index += 1
            }
        }
        return nil
    }

    /// The text of a literal; `nil` if it is not exactly one.
    static func string(_ literal: String) -> String? {
        let characters = Array(literal.unicodeScalars)
        guard let first = characters.first, first == "\"" || first == "'",
            length(of: characters[...]) == characters.count
        else { return nil }
        let isTriple = characters.count >= 6 && characters.prefix(3).allSatisfy { $0 == first }
        let size = isTriple ? 3 : 1
        return unescaped(characters[size..<characters.count - size])
    }

    /// The texts of all literals in an expression such as `[STRUCT("a", "b")]`.
    static func strings(in expression: String) -> [String]? {
        let characters = Array(expression.unicodeScalars)
        var strings: [String] = []
        var index = 0
        while index < characters.count {
            guard characters[index] == "\"" || characters[index] == "'" else {
                index += 1
                continue
            }
            guard let length = length(of: characters[index...]),
                let text = string(String(characters[index..<index + length]))
            else { return nil }
            strings.append(text)
            index += length
        }
        return strings
    }

    private static let escapes: [Unicode.Scalar: Unicode.Scalar] = [
        "a": "\u{07}", "b": "\u{08}", "f": "\u{0C}", "n": "\n", "r": "\r", "t": "\t", "v": "\u{0B}", "\\": "\\",
        "?": "?", "\"": "\"", "'": "'", "`": "`",
    ]

    private static func unescaped(_ characters: ArraySlice<Unicode.Scalar>) -> String? {
        var result = String.UnicodeScalarView()
        var index = characters.startIndex
        while index < characters.endIndex {
            guard characters[index] == "\\" else {
                result.append(characters[index])
                index += 1
                continue
            }
            guard index + 1 < characters.endIndex else { return nil }
            let letter = characters[index + 1]
            index += 2
            if let character = escapes[letter] {
                result.append(character)
                continue
            }
            let digits = ["x": 2, "X": 2, "u": 4, "U": 8][letter]
            guard let digits, index + digits <= characters.endIndex,
                // `UInt32` reads a sign, too.
                characters[index..<index + digits].allSatisfy(\.properties.isASCIIHexDigit),
                let scalar = UInt32(String(characters[index..<index + digits]), radix: 16).flatMap(Unicode.Scalar.init)
            else { return nil }
            result.append(scalar)
            index += digits
        }
        return String(result)
    }
}

extension Unicode.Scalar {
    fileprivate var isWordPart: Bool { properties.isAlphabetic || properties.numericType != nil || self == "_" }
}

extension String {
    fileprivate init(_ scalars: ArraySlice<Unicode.Scalar>) {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        self.init(view)
    }
}
