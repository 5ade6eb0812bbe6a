import Synchronization

/// Keeps calls under a rate and a number in flight, first come first served.
///
/// A token bucket: up to `burst` calls at once after a quiet time, `ratePerSecond` in the long run.
package final class RateLimiter: Sendable {
    private typealias Budget = RateBudget<CheckedContinuation<Void, any Error>>

    private let state: Mutex<Budget>
    private let time: TimeSource

    /// - Parameter burst: How many calls may go out together; the default is three seconds' worth.
    package init(ratePerSecond: Double, burst: Double? = nil, maxInFlight: Int, time: TimeSource = .system) {
        precondition(ratePerSecond > 0 && maxInFlight > 0)
        let size = max(1, burst ?? 3 * ratePerSecond)
        self.time = time
        state = Mutex(
            RateBudget(nominalRate: ratePerSecond, burst: size, maxInFlight: maxInFlight, now: time.elapsed()))
    }

    /// Waits for a permit and runs the operation with it. A task that is cancelled while it waits leaves the queue and
    /// throws `CancellationError`.
    package func withPermit<Value>(
        isolation: isolated (any Actor)? = #isolation, _ operation: () async throws -> Value
    ) async throws -> Value {
        try await acquire()
        do {
            try Task.checkCancellation()
            let value = try await operation()
            release { $0.recover() }
            return value
        } catch {
            release { _ in }
            throw error
        }
    }

    /// Halves the rate, at most once a second and down to a sixteenth of the nominal one, and forgets the burst. For
    /// answers like `rateLimitExceeded`. Each operation that then succeeds raises the rate by a tenth of a call per
    /// second, which doubles it about every seven seconds, up to the nominal rate.
    package func slowDown() {
        let now = time.elapsed()
        state.withLock { $0.slowDown(at: now) }
    }

    private func acquire() async throws {
        let ticket = state.withLock { $0.newTicket() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                state.withLock { $0.enqueue(continuation, ticket: ticket) }
                // Had the task been cancelled before this line, the handler below found no one waiting.
                if Task.isCancelled { abandon(ticket) }
                serve()
            }
        } onCancel: {
            abandon(ticket)
        }
    }

    private func abandon(_ ticket: UInt64) {
        state.withLock { $0.remove(ticket: ticket) }?.resume(throwing: CancellationError())
    }

    private func release(_ note: (inout Budget) -> Void) {
        state.withLock { state in
            state.inFlight -= 1
            note(&state)
        }
        serve()
    }

    /// Lets in whoever may go, and comes back when the next token is there.
    private func serve() {
        let now = time.elapsed()
        let (admitted, delay) = state.withLock { $0.admit(at: now) }
        admitted.forEach { $0.resume() }
        guard let delay else { return }
        Task.detached { [self] in
            try? await time.sleep(delay)
            state.withLock { $0.isWakeUpSet = false }
            serve()
        }
    }
}
