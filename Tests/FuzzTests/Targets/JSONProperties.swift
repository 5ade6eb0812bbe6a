import Foundation
import JobRuntime

/// A document is read as Foundation's decoder reads it. A value that was read can be written in both ways and read again.
enum JSONProperties {
    static func check(_ input: Data) throws {
        let value = JSONValue(document: input)
        try hold((JSONValue.members(of: input) != nil) == (value?.object != nil), "the members of \(value as Any)")
        try agreesWithFoundation(input, value)
        guard let value else { return }
        let printed = value.description
        try hold(JSONValue(document: Data(printed.utf8)) == value, "\(printed) reads differently")
        // Foundation writes 511 levels. A value that cannot be written is an error, and nothing is lost.
        guard depth(value) < 512 else { return }
        let encoded = try JSONEncoder().encode(value)
        try hold(
            JSONValue(document: encoded) == value,
            "\(printed) is encoded as \(String(decoding: encoded, as: UTF8.self))")
    }

    /// Foundation also reads UTF-16 and UTF-32 without a mark; such documents have zeros. Of a key that is there twice, it keeps the first
    /// value, and this reader the last one. Beyond 64 levels, only this reader is quick enough.
    private static func agreesWithFoundation(_ input: Data, _ value: JSONValue?) throws {
        guard !input.contains(0), !input.starts(with: [0xFE, 0xFF]), !input.starts(with: [0xFF, 0xFE]) else { return }
        if let value, depth(value) > 64 || hasTwins(value) { return }
        // It ends the process for 513 brackets and nothing else, and is slow for much fewer.
        guard input.count(where: { "[{".utf8.contains($0) }) <= 64 else { return }
        let other = try? JSONDecoder().decode(JSONValue.self, from: input)
        // Of a value whose key comes again, Foundation does not read the number.
        if value == nil, let other, colons(input) > members(other) { return }
        try hold(isSame(value, other), "\(value as Any) is not \(other as Any)")
    }

    /// Foundation reads 9007199254740993.0 as an integer without a detour over a double, so the last digit may differ.
    private static func isSame(_ left: JSONValue?, _ right: JSONValue?) -> Bool {
        switch (left, right) {
        case (.array(let left), .array(let right)): left.count == right.count && zip(left, right).allSatisfy(isSame)
        case (.object(let left), .object(let right)):
            left.dictionary.keys == right.dictionary.keys
                && left.dictionary.allSatisfy { isSame($0.value, right.dictionary[$0.key]) }
        default:
            if let one = left.flatMap(number), let other = right.flatMap(number) {
                abs(one - other) <= abs(one) * 1e-15
            } else {
                left == right
            }
        }
    }

    /// The colons outside of strings: one for each member.
    private static func colons(_ input: Data) -> Int {
        var (count, isInside, isEscaped) = (0, false, false)
        for byte in input {
            if isEscaped {
                isEscaped = false
            } else if isInside {
                isEscaped = byte == UInt8(ascii: "\\")
                isInside = byte != UInt8(ascii: "\"")
            } else {
                isInside = byte == UInt8(ascii: "\"")
                if byte == UInt8(ascii: ":") { count += 1 }
            }
        }
        return count
    }

    private static func members(_ value: JSONValue) -> Int {
        switch value {
        case .array(let values): values.reduce(0) { $0 + members($1) }
        case .object(let object): object.members.reduce(object.members.count) { $0 + members($1.value) }
        default: 0
        }
    }

    private static func number(_ value: JSONValue) -> Double? {
        switch value {
        case .integer(let number): Double(number)
        case .number(let number): number
        default: nil
        }
    }

    private static func hasTwins(_ value: JSONValue) -> Bool {
        switch value {
        case .array(let values): values.contains(where: hasTwins)
        case .object(let object):
            object.dictionary.count < object.members.count || object.members.contains { hasTwins($0.value) }
        default: false
        }
    }

    private static func depth(_ value: JSONValue) -> Int {
        switch value {
        case .array(let values): 1 + (values.map(depth).max() ?? 0)
        case .object(let object): 1 + (object.members.map { depth($0.value) }.max() ?? 0)
        default: 0
        }
    }
}
