/// Runs the operation for every item, so many at the same time, in the order of the items.
///
/// The first error cancels the operations under way and is thrown; items that were not begun by then, or when the task is
/// cancelled, are left out. Throws `CancellationError` if any item was left out.
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

/// Runs the work in a task of its own, which goes on although the calling task is cancelled.
///
/// For the few things that a stopped run still has to do, each within its part of the ``StopBudget``:
///
/// ```swift
/// try await shielded(within: StopBudget.limit(of: .lease)) { try await release() }
/// ```
///
/// - Parameter limit: The work is cancelled after that long, and ``TimeoutError`` is thrown; `nil` for no limit.
package func shielded<Value: Sendable>(
    within limit: Duration? = nil, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await Task.detached {
        guard let limit else { return try await work() }
        return try await withTimeout(limit, work)
    }.value
}

/// Runs the work, and cancels it when the time is up.
///
/// Throws ``TimeoutError`` if the work did not end in time, and the work's own error if it failed earlier. Returns or throws
/// only after the work has ended, so the work must heed its cancellation.
package func withTimeout<Value: Sendable>(
    _ limit: Duration, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask { try await work() }
        group.addTask {
            try await Task.sleep(for: limit)
            return nil
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() ?? nil else {
            group.cancelAll()
            // A work that ended at the same moment has still done what it was to do.
            if let late = try? await group.next() ?? nil { return late }
            throw TimeoutError(limit: limit)
        }
        return value
    }
}

/// The work took longer than it was given.
package struct TimeoutError: Error, Sendable, CustomStringConvertible {
    package let limit: Duration

    package var description: String { "no answer within \(spoken(limit))" }
}
