/// SplitMix64 (https://prng.di.unimi.it/splitmix64.c): every number of a world comes from its seed.
struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// Dice of their own for one subject, so that what happens to another one does not change them.
    init(seed: UInt64, _ subject: String) {
        // FNV-1a
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in subject.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        self.init(seed: seed &+ hash)
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// A number below the bound, without the library's own way, which may change.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(max(1, bound))) }

    mutating func isOne(in count: Int) -> Bool { below(count) == 0 }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
}

/// The random numbers of the jobs themselves: tokens, request ids, jitter. The program `simulate` puts them in place of the system's.
package enum JobDice {
    nonisolated(unsafe) private static var dice: Dice?

    /// A number from 0 to 1, of which a debug build's own way would not ask ``fill(_:)``.
    static func fraction() -> Double { Double((dice?.next() ?? 0) >> 11) / 9_007_199_254_740_992 }

    static func start(seed: UInt64) { dice = Dice(seed: seed, "jobs") }

    /// - Returns: `false` if no world has begun.
    package static func fill(_ bytes: UnsafeMutableRawBufferPointer) -> Bool {
        guard dice != nil else { return false }
        for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: dice!.next() >> 32) }
        return true
    }
}
