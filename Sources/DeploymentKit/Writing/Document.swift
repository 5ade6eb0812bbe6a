/// A tree that is written as JSON or YAML, with its members in the order given.
indirect enum Document: Hashable {
    case object([Member])
    case array([Document])
    case string(String)
    case integer(Int)
    case bool(Bool)
    case null

    struct Member: Hashable {
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
