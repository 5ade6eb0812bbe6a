extension Document {
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
