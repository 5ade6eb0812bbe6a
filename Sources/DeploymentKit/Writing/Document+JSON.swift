extension Document {
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
}
