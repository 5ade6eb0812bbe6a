/// A tree that is written as JSON or YAML, with its members in the order given.
indirect enum Document: Hashable, Sendable {
    case object([Member])
    case array([Document])
    case string(String)
    case integer(Int)
    case bool(Bool)
    case null

    struct Member: Hashable, Sendable {
        var key: String
        var value: Document
    }

    static func map(_ members: [(String, Document?)]) -> Document {
        .object(members.compactMap { key, value in value.map { Member(key: key, value: $0) } })
    }

    static func strings(_ texts: some Sequence<String>) -> Document { .array(texts.map { .string($0) }) }

    /// Names and texts, sorted by name.
    static func texts(_ texts: [String: String]) -> Document {
        .object(texts.sorted { $0.key < $1.key }.map { Member(key: $0.key, value: .string($0.value)) })
    }

    // MARK: JSON

    /// Two spaces of indentation and a line break at the end.
    var json: String { json(indent: "") + "\n" }

    private func json(indent: String) -> String {
        let inner = indent + "  "
        switch self {
        case .object(let members) where !members.isEmpty:
            let lines = members.map { "\(inner)\(Self.quoted($0.key)): \($0.value.json(indent: inner))" }
            return "{\n\(lines.joined(separator: ",\n"))\n\(indent)}"
        case .array(let items) where !items.isEmpty:
            return "[\n\(items.map { inner + $0.json(indent: inner) }.joined(separator: ",\n"))\n\(indent)]"
        case .object: return "{}"
        case .array: return "[]"
        case .string(let text): return Self.quoted(text)
        case .integer(let number): return String(number)
        case .bool(let value): return String(value)
        case .null: return "null"
        }
    }

    /// A JSON string, which is also a double-quoted YAML scalar.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    // MARK: YAML

    /// Block style. Strings are quoted wherever a reader could take them for something else.
    var yaml: String { yamlLines().joined(separator: "\n") + "\n" }

    private func yamlLines() -> [String] {
        switch self {
        case .object(let members) where !members.isEmpty:
            members.flatMap { Self.lines("\(Self.yamlScalar($0.key)):", $0.value) }
        case .array(let items) where !items.isEmpty:
            items.flatMap { item -> [String] in
                let lines = item.yamlLines()
                return ["- \(lines[0])"] + lines.dropFirst().map { "  \($0)" }
            }
        case .object: ["{}"]
        case .array: ["[]"]
        case .string(let text): [Self.yamlScalar(text)]
        case .integer(let number): [String(number)]
        case .bool(let value): [String(value)]
        case .null: ["null"]
        }
    }

    private static func lines(_ head: String, _ value: Document) -> [String] {
        let lines = value.yamlLines()
        switch value {
        case .object(let members) where !members.isEmpty: return [head] + lines.map { "  \($0)" }
        case .array(let items) where !items.isEmpty: return [head] + lines
        default: return ["\(head) \(lines[0])"]
        }
    }

    private static func yamlScalar(_ text: String) -> String {
        let safe = text.unicodeScalars.allSatisfy {
            ("a"..."z").contains($0) || ("A"..."Z").contains($0) || ("0"..."9").contains($0)
                || "/._-".unicodeScalars.contains($0)
        }
        let words = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
        let startsWithLetter =
            text.unicodeScalars.first.map { ("a"..."z").contains($0) || ("A"..."Z").contains($0) } ?? false
        return safe && startsWithLetter && !words.contains(text.lowercased()) ? text : quoted(text)
    }
}

extension Document: ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByDictionaryLiteral,
    ExpressibleByArrayLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral
{
    init(stringLiteral text: String) { self = .string(text) }
    init(dictionaryLiteral members: (String, Document)...) { self = .map(members.map { ($0.0, $0.1) }) }
    init(arrayLiteral items: Document...) { self = .array(items) }
    init(integerLiteral number: Int) { self = .integer(number) }
    init(booleanLiteral value: Bool) { self = .bool(value) }
}
