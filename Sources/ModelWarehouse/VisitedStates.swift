/// The states that were visited, as fingerprints of 96 bits: 16 bytes for each state, and up to 11 in the index.
///
/// Two of 100 million states have the same fingerprint with a probability of less than one in ten trillion.
struct VisitedStates {
    struct Fingerprint: Equatable {
        private(set) var high: UInt64
        private(set) var low: UInt32

        init(of bytes: [UInt8]) {
            var (a, b): (UInt64, UInt64) = (0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f)
            var (word, filled): (UInt64, UInt64) = (0, 0)
            func mix(_ word: UInt64) {
                a = (a ^ word) &* 0xff51_afd7_ed55_8ccd
                a ^= a >> 32
                b = (b &+ word) &* 0x9fb2_1c65_1e98_df25
                b ^= b >> 29
            }
            for byte in bytes {
                word |= UInt64(byte) << (8 * filled)
                filled += 1
                if filled == 8 {
                    mix(word)
                    (word, filled) = (0, 0)
                }
            }
            mix(word)
            mix(UInt64(bytes.count))
            mix(0x1656_67b1_9e37_79f9)
            high = a
            low = UInt32(truncatingIfNeeded: b >> 16)
        }

        fileprivate init(_ entry: Entry) { (high, low) = (entry.high, entry.low) }
    }

    fileprivate struct Entry {
        var high: UInt64
        var low: UInt32
        var parent: UInt32
    }

    /// The parent of the first state.
    static let none = UInt32.max

    private var entries: [Entry] = []
    /// The number of an entry, plus one; 0 is a free place.
    private var index = [UInt32](repeating: 0, count: 1 << 16)

    var count: Int { entries.count }

    func parent(of number: UInt32) -> UInt32 { entries[Int(number)].parent }
    func fingerprint(of number: UInt32) -> Fingerprint { Fingerprint(entries[Int(number)]) }

    /// - Returns: The number of the state; `nil` if it was visited before.
    mutating func insert(_ fingerprint: Fingerprint, from parent: UInt32) -> UInt32? {
        let place = place(of: fingerprint.high, fingerprint.low)
        guard index[place] == 0 else { return nil }
        entries.append(Entry(high: fingerprint.high, low: fingerprint.low, parent: parent))
        index[place] = UInt32(entries.count)
        if entries.count * 4 > index.count * 3 { grow() }
        return UInt32(entries.count - 1)
    }

    private func place(of high: UInt64, _ low: UInt32) -> Int {
        let mask = index.count - 1
        var place = Int(truncatingIfNeeded: high) & mask
        while index[place] != 0 {
            let entry = entries[Int(index[place] - 1)]
            if entry.high == high, entry.low == low { return place }
            place = (place + 1) & mask
        }
        return place
    }

    private mutating func grow() {
        index = [UInt32](repeating: 0, count: index.count * 2)
        for (number, entry) in entries.enumerated() {
            index[place(of: entry.high, entry.low)] = UInt32(number + 1)
        }
    }
}
