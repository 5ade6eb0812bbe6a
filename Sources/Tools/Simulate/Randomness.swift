import Glibc
import Simulation

/// Takes the place of the function of Swift's runtime that all random numbers come from. Outside of a simulated world it does what
/// that function does.
@_cdecl("swift_stdlib_random")
package func deterministicRandom(_ buffer: UnsafeMutableRawPointer, _ count: Int) {
    let bytes = UnsafeMutableRawBufferPointer(start: buffer, count: count)
    if JobDice.fill(bytes) { return }
    var filled = 0
    while filled < count {
        let result = getrandom(buffer + filled, count - filled, 0)
        if result > 0 { filled += result }
    }
}
