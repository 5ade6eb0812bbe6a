import FoundationEssentials

extension JSONValue {
    /// The members of a document that is one JSON object.
    static func members(of document: Data) -> [String: JSONValue]? {
        (try? JSONDecoder().decode(JSONValue.self, from: document))?.object
    }

    /// The text of a JSON string, and of nothing else.
    var text: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// A whole number, also when it is written as a string, as some token servers do.
    var wholeNumber: Int64? {
        switch self {
        case .integer(let number): number
        case .number(let number): Int64(exactly: number)
        case .string(let text): Int64(text)
        default: nil
        }
    }
}
