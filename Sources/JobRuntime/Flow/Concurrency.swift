/// Runs the operation for every item, in the order of the items, with at most `atOnce` operations at the same time.
///
/// The first error cancels the running operations and is thrown. Items that have not started by then, or when the task is
/// canceled, are skipped. Throws `CancellationError` if cancellation skipped any item.
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

/// Runs the work in its own task, which continues even if the calling task is canceled.
///
/// Use it for the few things that a stopped run still has to do, each within its part of the ``StopBudget``:
///
/// ```swift
/// try await shielded(within: StopBudget.limit(of: .lease)) { try await release() }
/// ```
///
/// - Parameter limit: The time after which the work is canceled and ``TimeoutError`` is thrown; `nil` for no limit.
package func shielded<Value: Sendable>(
    within limit: Duration? = nil, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await Task.detached {
        guard let limit else { return try await work() }
        return try await withTimeout(limit, work)
    }.value
}

/// Runs the work and cancels it when the time is up.
///
/// Throws ``TimeoutError`` if the work did not end in time, or the work's own error if it failed earlier. The function returns or
/// throws only after the work has ended, so the work must respond to cancellation.
package func withTimeout<Value: Sendable>(
    _ limit: Duration, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask { try await work() }
        group.addTask {
            try await TimeSource.system.sleep(limit)
            return nil
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() ?? nil else {
            group.cancelAll()
            // Work that ended at the same moment has still done its job.
            if let late = try? await group.next() ?? nil { return late }
            throw TimeoutError(limit: limit)
        }
        return value
    }
}

/// The work took longer than its time limit.
package struct TimeoutError: Error, Sendable, CustomStringConvertible {
    package let limit: Duration

    package var description: String { "no answer within \(spoken(limit))" }
}
