/// How often and with which pauses a failed operation is tried again.
///
/// The pause before the attempt n + 1 is random between zero and `firstDelay * multiplier^(n-1)`, at most `maximumDelay`
/// ("full jitter"), so that many callers that failed together do not come back together.
package struct RetryPolicy: Sendable {
    /// Including the first one.
    package var attempts: Int
    package var firstDelay: Duration
    package var multiplier: Double
    package var maximumDelay: Duration
    /// No attempt starts later than this after the first one started.
    package var budget: Duration

    package init(
        attempts: Int, firstDelay: Duration = .seconds(1), multiplier: Double = 2,
        maximumDelay: Duration = .seconds(32),
        budget: Duration = .seconds(600)
    ) {
        self.attempts = attempts
        self.firstDelay = firstDelay
        self.multiplier = multiplier
        self.maximumDelay = maximumDelay
        self.budget = budget
    }

    /// Runs the operation until it succeeds, `decide` says stop, or attempts or budget are used up; then the last
    /// error is thrown. Cancellation is never retried.
    ///
    /// - Parameters:
    ///   - jitter: A random number from 0 to 1.
    ///   - noting: Is told before each pause: the error, the number of the attempt that failed, from 1, and the pause.
    ///   - operation: Is given the number of the attempt, from 1.
    package func run<Value>(
        isolation: isolated (any Actor)? = #isolation, on time: TimeSource = .system,
        jitter: @Sendable () -> Double = { .random(in: 0...1) }, decide: (any Error) -> RetryDecision,
        noting: (_ error: any Error, _ attempt: Int, _ delay: Duration) -> Void = { _, _, _ in },
        operation: (_ attempt: Int) async throws -> Value
    ) async throws -> Value {
        let start = time.elapsed()
        var ceiling = min(firstDelay, maximumDelay)
        var attempt = 1
        while true {
            do {
                return try await operation(attempt)
            } catch let error as CancellationError {
                throw error
            } catch {
                guard attempt < attempts, case .retry(let asked) = decide(error) else { throw error }
                let delay = max(ceiling * jitter(), asked ?? .zero)
                guard time.elapsed() - start + delay <= budget else { throw error }
                noting(error, attempt, delay)
                try await time.sleep(delay)
            }
            attempt += 1
            ceiling = min(ceiling * multiplier, maximumDelay)
        }
    }
}
