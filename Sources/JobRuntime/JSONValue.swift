package import FoundationEssentials

/// A JSON value: what a server sent and we do not interpret, or what a job writes.
///
/// An object keeps the order of its members. Two objects with the same members are equal in whatever order they are.
///
/// ```swift
/// let value = JSONValue.object([("status", .string("failed")), ("rows", .integer(3))])
/// print(value)    // {"status":"failed","rows":3}
/// ```
package indirect enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// The text of a string or a whole number.
    package var string: String? {
        switch self {
        case .string(let value): value
        case .integer(let value): String(value)
        default: nil
        }
    }

    package var object: [String: JSONValue]? {
        guard case .object(let value) = self else { return nil }
        return value.dictionary
    }

    package var array: [JSONValue]? {
        guard case .array(let value) = self else { return nil }
        return value
    }
}

extension JSONValue {
    /// A document in UTF-8, or in UTF-16 with a byte order mark, as PowerShell writes files; `nil` if it is not JSON.
    package init?(document: Data) {
        let isUTF16 = document.starts(with: [0xFE, 0xFF]) || document.starts(with: [0xFF, 0xFE])
        let bytes = isUTF16 ? String(data: document, encoding: .utf16).map { Data($0.utf8) } : document
        guard let bytes, let value = try? JSONReader.read(bytes, { try $0.value() }) else { return nil }
        self = value
    }

    /// The members of a document that is one JSON object; `nil` for any other document.
    package static func members(of document: Data) -> [String: JSONValue]? { JSONValue(document: document)?.object }

    /// The text of a JSON string, and of nothing else.
    package var text: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// A whole number, also when it is written as a string, as some token servers do.
    package var wholeNumber: Int? {
        switch self {
        case .integer(let number): number
        case .number(let number): Int(exactly: number)
        case .string(let text): Int(text)
        default: nil
        }
    }
}

/// The members of a JSON object, in order.
package struct JSONObject: Hashable, Sendable, ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral {
    package typealias Member = (key: String, value: JSONValue)

    package let members: [Member]

    package init(_ members: [Member]) {
        self.members = members
    }

    /// Sorted by key.
    package init(_ members: [String: JSONValue]) {
        self.members = members.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        members = elements.map { ($0.0, $0.1) }
    }

    package init(arrayLiteral elements: Member...) {
        members = elements
    }

    /// The last value with that key.
    package subscript(key: String) -> JSONValue? { members.last { $0.key == key }?.value }

    /// If a key is there twice, its last value counts.
    package var dictionary: [String: JSONValue] {
        Dictionary(members.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
    }

    package static func == (left: JSONObject, right: JSONObject) -> Bool { left.dictionary == right.dictionary }

    package func hash(into hasher: inout Hasher) { hasher.combine(dictionary) }
}

extension JSONValue: Codable {
    /// A part of a document of which a decoder reads the rest; ``init(document:)`` reads whole documents.
    ///
    /// Each kind of value that is tried takes Foundation's decoder a time that grows with the square of the depth, so a value that
    /// is deeper than any of BigQuery's is refused.
    package init(from decoder: any Decoder) throws {
        guard decoder.codingPath.count <= 64 else {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(codingPath: [], debugDescription: "the value has more than 64 levels"))
        }
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(JSONObject(try container.decode([String: JSONValue].self)))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value.dictionary)
        }
    }
}

extension JSONValue: CustomStringConvertible {
    /// The value as JSON on one line. A number that JSON does not have (NaN, infinity) is a string.
    package var description: String {
        var text = ""
        write(to: &text)
        return text
    }

    private func write(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .number(let value): text += value.isFinite ? String(value) : "\"\(value)\""
        case .string(let value): Self.write(value, to: &text)
        case .array(let values):
            text += "["
            for (index, value) in values.enumerated() {
                if index > 0 { text += "," }
                value.write(to: &text)
            }
            text += "]"
        case .object(let object):
            text += "{"
            for (index, member) in object.members.enumerated() {
                if index > 0 { text += "," }
                Self.write(member.key, to: &text)
                text += ":"
                member.value.write(to: &text)
            }
            text += "}"
        }
    }

    private static func write(_ value: String, to text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
