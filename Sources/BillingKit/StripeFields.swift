import JobRuntime

/// One of Stripe's objects: https://docs.stripe.com/api
///
/// Decoding never throws. `null` and a missing field are absent and read as `nil`. A value of another type is malformed: it also
/// reads as `nil`, but the object names it in `malformed`, and nothing may be written that rests on such an object. So a page
/// with one malformed object still has all the others.
protocol StripeObject: Decodable, Hashable, Sendable {
    /// Empty where the object has none; that is malformed.
    var id: String { get }
    /// Whether the object is one of live mode; `nil` where it does not say.
    var isLive: Bool? { get }
    var malformed: [MalformedField] { get }
}

extension StripeObject {
    var isLive: Bool? { nil }
}

/// A field whose value is not what Stripe documents.
struct MalformedField: Hashable, Sendable, CustomStringConvertible {
    /// Such as `items.data[0].current_period_end`; empty for the object itself.
    var path: String
    var problem: String

    func under(_ parent: String) -> MalformedField {
        let separator = path.isEmpty || path.hasPrefix("[") ? "" : "."
        return MalformedField(path: parent + separator + path, problem: problem)
    }

    var description: String { path.isEmpty ? "it \(problem)" : "\(path) \(problem)" }
}

extension MalformedField: CompactValue {
    func write(to bytes: inout CompactWriter) {
        bytes.write(path)
        bytes.write(problem)
    }

    init(_ bytes: inout CompactReader) {
        path = bytes.read()
        problem = bytes.read()
    }
}

extension [MalformedField] {
    /// The first three, on one line.
    var summary: String {
        prefix(3).map(\.description).joined(separator: ", ") + (count > 3 ? " and \(count - 3) more" : "")
    }
}

/// A part of an object that can be malformed itself.
protocol StripePart: Decodable, Hashable, Sendable {
    var malformed: [MalformedField] { get }
}

/// Reads the fields of an object and notes the malformed ones.
struct StripeFields {
    private struct Name: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private let container: KeyedDecodingContainer<Name>?
    private(set) var malformed: [MalformedField] = []

    init(_ decoder: any Decoder) {
        container = try? decoder.container(keyedBy: Name.self)
        if container == nil { malformed.append(MalformedField(path: "", problem: "is not an object")) }
    }

    mutating func id() -> String {
        let id = text("id") ?? ""
        if id.isEmpty, container != nil, !malformed.contains(where: { $0.path == "id" }) {
            malformed.append(MalformedField(path: "id", problem: "is missing"))
        }
        return id
    }

    mutating func text(_ name: String) -> String? { value(name, String.self, expected: "a text") }
    mutating func integer(_ name: String) -> Int64? { value(name, Int64.self, expected: "a whole number") }
    mutating func flag(_ name: String) -> Bool? { value(name, Bool.self, expected: "true or false") }

    /// Whether there is such a member with any value but an empty one, or with this value.
    func has(_ name: String, value: String?) -> Bool {
        let found = try? container?.decodeIfPresent(String.self, forKey: Name(stringValue: name))
        return value == nil ? !(found ?? "").isEmpty : found == value
    }

    /// A text, or a whole number as its text.
    mutating func textOrInteger(_ name: String) -> String? {
        if let text = try? container?.decodeIfPresent(String.self, forKey: Name(stringValue: name)) { return text }
        return value(name, Int64.self, expected: "a text").map { String($0) }
    }

    mutating func part<Part: StripePart>(_ name: String, _ type: Part.Type, expected: String = "an object") -> Part? {
        let part = value(name, type, expected: expected)
        malformed += (part?.malformed ?? []).map { $0.under(name) }
        return part
    }

    private mutating func value<Value: Decodable>(_ name: String, _ type: Value.Type, expected: String) -> Value? {
        do {
            return try container?.decodeIfPresent(type, forKey: Name(stringValue: name))
        } catch {
            malformed.append(MalformedField(path: name, problem: "is not \(expected)"))
            return nil
        }
    }
}
