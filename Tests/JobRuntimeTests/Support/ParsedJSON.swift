import FoundationEssentials

/// A JSON value as Foundation's decoder reads it.
enum ParsedJSON: Decodable, Equatable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    case null, bool(Bool), number(Double), string(String), array([ParsedJSON]), object([String: ParsedJSON])

    init(_ text: String) throws {
        self = try JSONDecoder().decode(ParsedJSON.self, from: Data(text.utf8))
    }

    init(stringLiteral value: String) { self = .string(value) }
    init(integerLiteral value: Int) { self = .number(Double(value)) }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([ParsedJSON].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: ParsedJSON].self))
        }
    }

    subscript(key: String) -> ParsedJSON? {
        if case .object(let members) = self { members[key] } else { nil }
    }

    var text: String? {
        if case .string(let value) = self { value } else { nil }
    }
}
