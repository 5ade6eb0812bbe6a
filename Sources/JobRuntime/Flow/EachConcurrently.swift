/// Runs the operation for every item, so many at the same time, in the order of the items.
///
/// The first error cancels those under way and is thrown; items that were not begun by then, or when the task is cancelled,
/// are left out. `CancellationError` is thrown if any was.
package func eachConcurrently<Item: Sendable>(
    _ items: [Item], atOnce: Int, _ operation: @escaping @Sendable (Item) async throws -> Void
) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        var waiting = items.makeIterator()
        for item in items.prefix(atOnce) {
            _ = waiting.next()
            group.addTask { try await operation(item) }
        }
        while try await group.next() != nil {
            guard let item = waiting.next() else { continue }
            try Task.checkCancellation()
            group.addTask { try await operation(item) }
        }
    }
}
