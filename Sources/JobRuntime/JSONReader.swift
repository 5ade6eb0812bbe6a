package import FoundationEssentials

/// Reads JSON (RFC 8259) value by value, in one pass over its UTF-8 bytes. Memory and time grow with the bytes and never faster.
///
/// Foundation's decoder keeps a tree of the whole document, and takes seconds for a kilobyte of nested brackets where a type tries
/// one kind of value after the other. Like that decoder, this reader accepts a comma before the end of a list or an object.
///
/// ```swift
/// let names = try JSONReader.read(data) { json in
///     var names: [String] = []
///     try json.open("[")
///     while try json.nextElement() { names.append(try json.string()) }
///     return names
/// }
/// ```
package struct JSONReader {
    /// The bytes are not JSON, or not the JSON that the caller asked for.
    package struct Malformed: Error {
        /// Where reading stopped, in bytes.
        package let position: Int
    }

    /// Deeper documents are malformed, as for Foundation's decoder: they would fill the stack.
    package static let mostLevels = 512

    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0
    private var levels = 0
    /// The list or object that was opened last has no member so far.
    private var isAtFirst = false

    /// Reads the whole document. Bytes behind the value that `body` reads are malformed.
    package static func read<Value>(_ data: Data, _ body: (inout JSONReader) throws -> Value) throws -> Value {
        try data.withUnsafeBytes { bytes in
            var reader = JSONReader(bytes: bytes.bindMemory(to: UInt8.self))
            let value = try body(&reader)
            if reader.next != nil { throw reader.malformed }
            return value
        }
    }

    /// Decodes a document from elsewhere with Foundation's decoder, which ends the process for 513 brackets and nothing else. So the
    /// whole document is read first.
    package static func decode<Value: Decodable>(
        _ type: Value.Type, from data: Data, with decoder: JSONDecoder = JSONDecoder()
    ) throws -> Value {
        try read(data) { _ = try $0.skip() }
        return try decoder.decode(type, from: data)
    }

    private init(bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
        // Windows editors put a byte order mark first.
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
    }

    package var malformed: Malformed { Malformed(position: position) }

    // MARK: Lists and objects

    /// The first byte of the next value, which says its kind; `nil` at the end.
    package var next: UInt8? {
        mutating get {
            while position < bytes.count {
                switch bytes[position] {
                case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): position += 1
                default: return bytes[position]
                }
            }
            return nil
        }
    }

    /// Begins a list (`[`) or an object (`{`).
    package mutating func open(_ bracket: Unicode.Scalar) throws {
        try take(UInt8(ascii: bracket))
        guard levels < Self.mostLevels else { throw malformed }
        levels += 1
        isAtFirst = true
    }

    /// Whether another element follows, which has to be read then. At the end of the list, reading goes on behind it.
    package mutating func nextElement() throws -> Bool { try nextMember(until: "]") }

    /// The key of the next member, whose value has to be read then; `nil` at the end of the object, behind which reading goes on.
    package mutating func nextKey() throws -> String? {
        guard try nextMember(until: "}") else { return nil }
        let key = try string()
        try take(UInt8(ascii: ":"))
        return key
    }

    private mutating func nextMember(until end: Unicode.Scalar) throws -> Bool {
        defer { isAtFirst = false }
        if !isAtFirst, next == UInt8(ascii: ",") {
            position += 1
        } else if !isAtFirst, next != UInt8(ascii: end) {
            throw malformed
        }
        guard next == UInt8(ascii: end) else { return true }
        position += 1
        levels -= 1
        return false
    }

    private mutating func take(_ byte: UInt8) throws {
        guard next == byte else { throw malformed }
        position += 1
    }

    // MARK: Values

    package mutating func value() throws -> JSONValue {
        switch next {
        case UInt8(ascii: "{"):
            var members: [JSONObject.Member] = []
            try open("{")
            while let key = try nextKey() { members.append((key, try value())) }
            return .object(JSONObject(members))
        case UInt8(ascii: "["):
            var elements: [JSONValue] = []
            try open("[")
            while try nextElement() { elements.append(try value()) }
            return .array(elements)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"):
            try word("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try word("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try null()
            return .null
        default: return try number()
        }
    }

    package mutating func null() throws { try word("null") }

    /// Reads a value and keeps nothing of it.
    /// - Returns: Its place in the document.
    @discardableResult
    package mutating func skip() throws -> Range<Int> {
        let first = next
        let start = position
        switch first {
        case UInt8(ascii: "{"):
            try open("{")
            while try nextMember(until: "}") {
                _ = try stringBytes()
                try take(UInt8(ascii: ":"))
                try skip()
            }
        case UInt8(ascii: "["):
            try open("[")
            while try nextElement() { try skip() }
        case UInt8(ascii: "\""): _ = try stringBytes()
        default: _ = try value()
        }
        return start..<position
    }

    private mutating func word(_ word: StaticString) throws {
        let text = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
        guard bytes[position...].starts(with: text) else { throw malformed }
        position += text.count
    }

    /// A whole number is an integer, however it is written. A number beyond all doubles is malformed.
    private mutating func number() throws -> JSONValue {
        let start = position
        _ = pass("-")
        if !pass("0") { try digits() }
        var isWhole = true
        if pass(".") {
            isWhole = false
            try digits()
        }
        if pass("eE") {
            isWhole = false
            _ = pass("+-")
            try digits()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isWhole, let integer = Int(text) { return .integer(integer) }
        guard let number = Double(text), number.isFinite else { throw malformed }
        return Int(exactly: number).map { .integer($0) } ?? .number(number)
    }

    private mutating func digits() throws {
        guard pass("0123456789") else { throw malformed }
        while pass("0123456789") {}
    }

    /// Passes the next byte if it is one of these.
    private mutating func pass(_ characters: StaticString) -> Bool {
        let text = UnsafeBufferPointer(start: characters.utf8Start, count: characters.utf8CodeUnitCount)
        guard position < bytes.count, text.contains(bytes[position]) else { return false }
        position += 1
        return true
    }

    // MARK: Strings

    package mutating func string() throws -> String {
        let found = try stringBytes()
        let content = UnsafeBufferPointer(rebasing: bytes[found.content])
        guard found.isEscaped else {
            guard let text = String(validating: content, as: UTF8.self) else { throw malformed }
            return text
        }
        guard let text = String(validating: try unescaped(content), as: UTF8.self) else { throw malformed }
        return text
    }

    /// Passes a string, of which the escapes are not read so far.
    private mutating func stringBytes() throws -> (content: Range<Int>, isEscaped: Bool) {
        try take(UInt8(ascii: "\""))
        let start = position
        var isEscaped = false
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return (start..<position - 1, isEscaped)
            case UInt8(ascii: "\\"):
                isEscaped = true
                position += 2
            case 0..<0x20: throw malformed
            default: position += 1
            }
        }
        throw malformed
    }

    private func unescaped(_ content: UnsafeBufferPointer<UInt8>) throws -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(content.count)
        var index = 0
        /// The four digits behind `\u`.
        func codeUnit() throws -> UInt32 {
            guard index + 4 <= content.count else { throw malformed }
            var value: UInt32 = 0
            for digit in content[index..<index + 4] {
                guard let number = Character(Unicode.Scalar(digit)).hexDigitValue else { throw malformed }
                value = value << 4 | UInt32(number)
            }
            index += 4
            return value
        }
        while index < content.count {
            guard content[index] == UInt8(ascii: "\\") else {
                result.append(content[index])
                index += 1
                continue
            }
            let letter = content[index + 1]
            index += 2
            switch letter {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(letter)
            case UInt8(ascii: "b"): result.append(0x08)
            case UInt8(ascii: "f"): result.append(0x0C)
            case UInt8(ascii: "n"): result.append(0x0A)
            case UInt8(ascii: "r"): result.append(0x0D)
            case UInt8(ascii: "t"): result.append(0x09)
            case UInt8(ascii: "u"):
                var value = try codeUnit()
                // A high surrogate needs its low one.
                if 0xD800..<0xDC00 ~= value, content[index...].starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "u")]) {
                    index += 2
                    let low = try codeUnit()
                    guard 0xDC00..<0xE000 ~= low else { throw malformed }
                    value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
                }
                guard let scalar = Unicode.Scalar(value) else { throw malformed }
                result.append(contentsOf: UTF8.encode(scalar)!)
            default: throw malformed
            }
        }
        return result
    }
}
