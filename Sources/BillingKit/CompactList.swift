import JobRuntime

/// A value that can be kept as bytes.
protocol CompactValue {
    func write(to bytes: inout CompactWriter)
    /// Reads what ``write(to:)`` wrote, in the same order.
    init(_ bytes: inout CompactReader)
}

/// A list for a hundred thousand values: it keeps the bytes of each, and creates a value anew whenever it is read.
///
/// A subscription takes about 90 bytes here, and as a Swift value more than a kilobyte in a dozen allocations.
///
/// ```swift
/// var list = CompactList<StripeSubscription>()
/// list.append(subscription)
/// list[0] == subscription    // true
/// ```
struct CompactList<Element: CompactValue & Sendable>: RandomAccessCollection, Sendable {
    /// The bytes of an element stand in one block. Blocks never grow beyond their first size, so nothing is copied.
    private var blocks: [[UInt8]] = []
    /// The block of each element, and where it begins there, in 16 bits each.
    private var places: [UInt32] = []
    private var writer = CompactWriter()

    private static var blockSize: Int { 1 << 16 }

    var startIndex: Int { 0 }
    var endIndex: Int { places.count }

    subscript(index: Int) -> Element { read(Element.self, at: index) }

    /// Reads a type whose bytes are the first bytes of the element.
    func read<Value: CompactValue>(_ type: Value.Type, at index: Int) -> Value {
        let place = Int(places[index])
        var reader = CompactReader(blocks[place >> 16], from: place & 0xFFFF, shared: writer.shared)
        return Value(&reader)
    }

    mutating func append(_ element: Element) {
        writer.bytes.removeAll(keepingCapacity: true)
        element.write(to: &writer)
        if blocks.isEmpty || blocks[blocks.count - 1].count + writer.bytes.count > Self.blockSize {
            blocks.append([])
            blocks[blocks.count - 1].reserveCapacity(Self.blockSize)
        }
        places.append(UInt32((blocks.count - 1) << 16 | blocks[blocks.count - 1].count))
        blocks[blocks.count - 1] += writer.bytes
    }
}

/// Finds elements of a list by a key. A key takes eight bytes here, and forty in a dictionary.
struct CompactIndex: Sendable {
    /// Key and number of the element, in 32 bits each.
    private var pairs: [UInt64] = []

    mutating func add(_ number: Int, for key: UInt32) { pairs.append(UInt64(key) << 32 | UInt64(number)) }

    /// Several texts may have one key, so whoever finds an element has to compare its text.
    mutating func add(_ number: Int, for text: String) { add(number, for: Self.key(of: text)) }

    /// Has to follow the last ``add(_:for:)``.
    mutating func sort() { pairs.sort() }

    /// The numbers with this key, in ascending order.
    func numbers(for key: UInt32) -> [Int] {
        var (low, high) = (0, pairs.count)
        while low < high {
            let middle = (low + high) / 2
            if pairs[middle] >> 32 < UInt64(key) { low = middle + 1 } else { high = middle }
        }
        return pairs[low...].prefix { $0 >> 32 == UInt64(key) }.map { Int($0 & 0xFFFF_FFFF) }
    }

    func numbers(for text: String) -> [Int] { numbers(for: Self.key(of: text)) }

    private static func key(of text: String) -> UInt32 { UInt32(truncatingIfNeeded: text.hashValue) }
}

/// Writes the bytes of values.
struct CompactWriter: Sendable {
    fileprivate(set) var bytes: [UInt8] = []
    /// The bytes of shared parts, and where each stands.
    fileprivate private(set) var shared: [[UInt8]] = []
    private var numbers: [[UInt8]: Int] = [:]

    /// What seems to be shared may differ for each customer, as the prices of some accounts do.
    private static let mostShared = 1000

    mutating func write(_ value: some CompactValue) { value.write(to: &self) }

    /// Writes a part that is the same in many elements. Its bytes are kept once.
    mutating func share(_ write: (inout CompactWriter) -> Void) {
        let start = bytes.count
        write(&self)
        let part = Array(bytes[start...])
        bytes.removeSubrange(start...)
        if numbers[part] == nil, shared.count < Self.mostShared {
            numbers[part] = shared.count
            shared.append(part)
        }
        if let number = numbers[part] {
            self.write(Int64(number + 1))
        } else {
            self.write(Int64(0))
            bytes += part
        }
    }
}

/// Reads what a ``CompactWriter`` wrote.
struct CompactReader {
    private let bytes: [UInt8]
    private var position: Int
    private let shared: [[UInt8]]

    init(_ bytes: [UInt8], from position: Int = 0, shared: [[UInt8]]) {
        (self.bytes, self.position, self.shared) = (bytes, position, shared)
    }

    mutating func read<Value: CompactValue>() -> Value { Value(&self) }

    mutating func readShared<Value>(_ read: (inout CompactReader) -> Value) -> Value {
        let number: Int64 = self.read()
        guard number > 0 else { return read(&self) }
        var part = CompactReader(shared[Int(number) - 1], shared: shared)
        return read(&part)
    }

    fileprivate mutating func byte() -> UInt8 {
        defer { position += 1 }
        return bytes[position]
    }
}

extension Int64: CompactValue {
    /// Seven bits in a byte, and the sign in the lowest bit: small numbers take one byte.
    func write(to bytes: inout CompactWriter) {
        var rest = UInt64(bitPattern: (self << 1) ^ (self >> 63))
        while rest > 0x7F {
            bytes.bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        bytes.bytes.append(UInt8(rest))
    }

    init(_ bytes: inout CompactReader) {
        var (value, shift) = (UInt64(0), UInt64(0))
        while true {
            let byte = bytes.byte()
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { break }
            shift += 7
        }
        self = Int64(bitPattern: value >> 1) ^ -Int64(value & 1)
    }
}

extension String: CompactValue {
    /// Ids and slugs consist of these 64 characters, of which each takes six bits.
    private static let alphabet = [UInt8]("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-".utf8)
    /// The number of each character of the alphabet, and 64 for all others.
    private static let codes: [UInt8] = (0...255).map { UInt8(alphabet.firstIndex(of: $0) ?? 64) }

    /// The number of characters, and whether they take six bits each, come first.
    func write(to bytes: inout CompactWriter) {
        let isPacked = utf8.allSatisfy { Self.codes[Int($0)] < 64 }
        bytes.write(Int64(utf8.count << 1 | (isPacked ? 1 : 0)))
        guard isPacked else {
            bytes.bytes.append(contentsOf: utf8)
            return
        }
        var (pending, bits) = (UInt32(0), UInt32(0))
        for character in utf8 {
            pending = pending << 6 | UInt32(Self.codes[Int(character)])
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.bytes.append(UInt8(pending >> bits & 0xFF))
            }
        }
        if bits > 0 { bytes.bytes.append(UInt8(pending << (8 - bits) & 0xFF)) }
    }

    init(_ bytes: inout CompactReader) {
        let head: Int64 = bytes.read()
        self.init(unsafeUninitializedCapacity: Int(head >> 1)) { characters in
            var (pending, bits) = (UInt32(0), UInt32(0))
            for index in 0..<Int(head >> 1) {
                if head & 1 == 0 {
                    characters[index] = bytes.byte()
                    continue
                }
                if bits < 6 {
                    pending = pending << 8 | UInt32(bytes.byte())
                    bits += 8
                }
                bits -= 6
                characters[index] = Self.alphabet[Int(pending >> bits & 63)]
            }
            return Int(head >> 1)
        }
    }
}

extension Bool: CompactValue {
    func write(to bytes: inout CompactWriter) { bytes.bytes.append(self ? 1 : 0) }
    init(_ bytes: inout CompactReader) { self = bytes.byte() == 1 }
}

extension Timestamp: CompactValue {
    func write(to bytes: inout CompactWriter) { bytes.write(microseconds) }
    init(_ bytes: inout CompactReader) { self.init(microseconds: bytes.read()) }
}

extension CivilDate: CompactValue {
    func write(to bytes: inout CompactWriter) { bytes.write(Int64(daysSinceEpoch)) }
    init(_ bytes: inout CompactReader) { self.init(daysSinceEpoch: Int(bytes.read() as Int64)) }
}

extension Optional: CompactValue where Wrapped: CompactValue {
    func write(to bytes: inout CompactWriter) {
        bytes.write(self != nil)
        if let self { bytes.write(self) }
    }

    init(_ bytes: inout CompactReader) { self = bytes.read() ? .some(bytes.read()) : .none }
}

extension Array: CompactValue where Element: CompactValue {
    func write(to bytes: inout CompactWriter) {
        bytes.write(Int64(count))
        for element in self { bytes.write(element) }
    }

    init(_ bytes: inout CompactReader) {
        let count: Int64 = bytes.read()
        self = (0..<count).map { _ in bytes.read() }
    }
}
