import FoundationEssentials

/// A JSON value of unknown shape: credential files and token replies are too various for a type each.
enum JSONNode: Decodable {
    case string(String)
    case number(Double)
    case array([JSONNode])
    case object([String: JSONNode])
    case null
    case other

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let text = try? value.decode(String.self) {
            self = .string(text)
        } else if let members = try? value.decode([String: JSONNode].self) {
            self = .object(members)
        } else if let elements = try? value.decode([JSONNode].self) {
            self = .array(elements)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else {
            self = .other
        }
    }

    /// The members of a document that is one JSON object.
    static func members(of document: Data) -> [String: JSONNode]? {
        guard case .object(let members)? = try? JSONDecoder().decode(JSONNode.self, from: document) else { return nil }
        return members
    }

    var string: String? {
        if case .string(let text) = self { text } else { nil }
    }

    var members: [String: JSONNode]? {
        if case .object(let members) = self { members } else { nil }
    }

    /// A whole number, also when it is written as a string, as some token servers do.
    var integer: Int64? {
        switch self {
        case .number(let number): Int64(exactly: number)
        case .string(let text): Int64(text)
        default: nil
        }
    }
}
