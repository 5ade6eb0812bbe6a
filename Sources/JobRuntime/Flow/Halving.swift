/// Does the work with all items at once. If that is refused, does it with each half, until each refused item stands alone.
///
/// Use it for requests that one bad item spoils for all: it takes 10 refusals to find one item among a thousand. The first half
/// goes first. An error that is not a refusal, such as a lost connection, is thrown at once, because smaller parts would fail
/// with it, too.
///
/// ```swift
/// try await halvingOnRefusal(changes, isRefusal: isAboutTheValues) { part in
///     try await write(part)
/// } refused: { part, error in
///     for change in part { failures[change.name] = error }
/// }
/// ```
/// - Parameters:
///   - mostRefusals: The number of refusals after which a refused part is no longer divided.
///   - refused: Receives every part that is refused and not divided: one item, or several after too many refusals.
package func halvingOnRefusal<Item>(
    _ items: some Sequence<Item>, mostRefusals: Int = .max, isRefusal: (any Error) -> Bool,
    _ work: (ArraySlice<Item>) async throws -> Void, refused: (ArraySlice<Item>, any Error) async throws -> Void
) async throws {
    let items = Array(items)
    var parts = items.isEmpty ? [] : [items[...]]
    var refusals = 0
    while let part = parts.popLast() {
        try Task.checkCancellation()
        do {
            try await work(part)
        } catch  where isRefusal(error) {
            refusals += 1
            if part.count > 1, refusals <= mostRefusals {
                let half = part.count / 2
                parts += [part.dropFirst(half), part.prefix(half)]
            } else {
                try await refused(part, error)
            }
        }
    }
}
