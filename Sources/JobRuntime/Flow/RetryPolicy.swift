package import Logging

/// Defines how often, and after which pauses, a failed operation is retried.
///
/// The pause before attempt n + 1 is random between zero and `firstDelay * multiplier^(n-1)`, at most `maximumDelay` ("full
/// jitter"). Callers that failed together therefore do not return together. If a server asks for a longer pause, it gets that
/// pause if it fits the budget; otherwise the retries end.
///
/// ```swift
/// let policy = RetryPolicy(attempts: 5, budget: .seconds(120))
/// let reply = try await policy.run(
///     on: .system, decide: { ($0 as? StripeError)?.isRetryable == true ? .retry() : .stop }
/// ) { _ in try await send(request) }
/// ```
package struct RetryPolicy: Sendable {
    /// The number of attempts, including the first one.
    package var attempts: Int
    package var firstDelay: Duration
    package var multiplier: Double
    package var maximumDelay: Duration
    /// The time after the start of the first attempt within which every other attempt must start.
    package var budget: Duration

    package init(
        attempts: Int = .max, firstDelay: Duration = .seconds(1), multiplier: Double = 2,
        maximumDelay: Duration = .seconds(32), budget: Duration
    ) {
        self.attempts = attempts
        self.firstDelay = firstDelay
        self.multiplier = multiplier
        self.maximumDelay = maximumDelay
        self.budget = budget
    }

    /// Runs the operation until it succeeds, `decide` returns `.stop`, or the attempts or the budget are used up. If it never
    /// succeeds, throws the last error. Cancellation is never retried.
    ///
    /// - Parameters:
    ///   - jitter: Returns a random number from 0 to 1.
    ///   - noting: Receives the error, the number of failed attempts, and the pause, before each pause.
    ///   - operation: Receives the number of the attempt, starting from 1.
    package func run<Value>(
        isolation: isolated (any Actor)? = #isolation, on time: TimeSource = .system,
        jitter: @Sendable @escaping () -> Double = { Machine.current.jitter() }, decide: (any Error) -> RetryDecision,
        noting: (_ error: any Error, _ attempt: Int, _ delay: Duration) -> Void = { _, _, _ in },
        operation: (_ attempt: Int) async throws -> Value
    ) async throws -> Value {
        var attempts = Attempts(self, on: time, jitter: jitter)
        while true {
            do {
                return try await operation(attempts.failed + 1)
            } catch {
                try await attempts.pause(after: error, decide(error), noting: noting)
            }
        }
    }
}

/// The decision about a failed attempt.
package enum RetryDecision: Sendable {
    case stop
    /// Retries after the policy's delay or the delay that the server asked for, whichever is longer.
    case retry(after: Duration? = nil)
}

/// Counts the attempts at one operation under a ``RetryPolicy``, for a caller with its own loop.
package struct Attempts: Sendable {
    private let policy: RetryPolicy
    private let time: TimeSource
    private let jitter: @Sendable () -> Double
    private var start: Duration
    private var ceiling: Duration
    /// The number of attempts that have failed in a row.
    package private(set) var failed = 0

    package init(
        _ policy: RetryPolicy, on time: TimeSource,
        jitter: @Sendable @escaping () -> Double = { Machine.current.jitter() }
    ) {
        self.policy = policy
        self.time = time
        self.jitter = jitter
        start = time.elapsed()
        ceiling = min(policy.firstDelay, policy.maximumDelay)
    }

    /// Restarts the count after a successful attempt.
    package mutating func restart() {
        self = Attempts(policy, on: time, jitter: jitter)
    }

    /// Counts a failed attempt and waits until the next one may start. Throws the error if there is no next attempt.
    ///
    /// - Parameter limit: The number of attempts, if it differs from the policy's.
    package mutating func pause(
        isolation: isolated (any Actor)? = #isolation, after error: any Error, _ decision: RetryDecision,
        limit: Int? = nil,
        noting: (_ error: any Error, _ attempt: Int, _ delay: Duration) -> Void = { _, _, _ in }
    ) async throws {
        failed += 1
        guard !(error is CancellationError), failed < limit ?? policy.attempts, case .retry(let asked) = decision else {
            throw error
        }
        let delay = max(ceiling * jitter(), asked ?? .zero)
        guard time.elapsed() - start + delay <= policy.budget else { throw error }
        noting(error, failed, delay)
        try await time.sleep(delay)
        ceiling = min(ceiling * policy.multiplier, policy.maximumDelay)
    }
}

extension Logger {
    /// Logs a retry; pass it as the `noting` of a ``RetryPolicy``. One retry is normal. After a second failure, the reader of the
    /// log should see why the run is slow.
    package func tryingAgain(after error: any Error, attempt: Int, delay: Duration) {
        log(
            level: attempt > 1 ? .notice : .debug,
            "trying again in \(spoken(delay)), after \(spoken(attempt, "attempts")): \(error)")
    }
}
