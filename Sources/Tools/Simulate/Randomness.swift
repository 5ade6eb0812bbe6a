import Glibc
import Simulation

/// Takes the place of the function of Swift's runtime that all random numbers come from. Outside of a simulated world it does what
/// that function does.
@_cdecl("swift_stdlib_random")
package func deterministicRandom(_ buffer: UnsafeMutableRawPointer, _ count: Int) {
    let bytes = UnsafeMutableRawBufferPointer(start: buffer, count: count)
    if JobDice.fill(bytes) { return }
    // It gives 256 bytes at a time at most: https://man7.org/linux/man-pages/man3/getentropy.3.html
    for start in stride(from: 0, to: count, by: 256) {
        guard getentropy(buffer + start, min(256, count - start)) == 0 else { abort() }
    }
}
