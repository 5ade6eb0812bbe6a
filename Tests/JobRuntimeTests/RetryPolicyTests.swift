import JobRuntime
import Logging
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(30))) struct RetryPolicyTests {
    private struct Failure: Error, Equatable {
        let attempt: Int
    }

    private let clock = LeapingClock()
    private let policy = RetryPolicy(attempts: 6, maximumDelay: .seconds(5), budget: .seconds(100))

    private func failing(
        _ policy: RetryPolicy, jitter: Double = 1, until success: Int = .max, taking: Duration = .zero,
        decide: @escaping (any Error) -> RetryDecision = { _ in .retry() }
    ) async throws -> Int {
        try await policy.run(on: clock.time, jitter: { jitter }, decide: decide) { attempt in
            clock.pass(taking)
            guard attempt >= success else { throw Failure(attempt: attempt) }
            return attempt
        }
    }

    @Test func returnsTheFirstSuccess() async throws {
        #expect(try await failing(policy, until: 1) == 1)
        #expect(clock.sleeps.isEmpty)
        #expect(try await failing(policy, until: 3) == 3)
    }

    @Test func waitsLongerEachTimeUpToTheMaximumAndThrowsTheLastError() async {
        await #expect(throws: Failure(attempt: 6)) { try await failing(policy) }
        #expect(clock.sleeps == [1, 2, 4, 5, 5].map { .seconds($0) })
    }

    @Test func theJitterTakesFromNothingToAll() async {
        await #expect(throws: Failure(attempt: 6)) { try await failing(policy, jitter: 0.25) }
        #expect(clock.sleeps == [0.25, 0.5, 1, 1.25, 1.25].map { .seconds($0) })
    }

    @Test func stopsWhenToldTo() async {
        await #expect(throws: Failure(attempt: 2)) {
            try await failing(policy) { ($0 as? Failure)?.attempt == 2 ? .stop : .retry() }
        }
        #expect(clock.sleeps.count == 1)
    }

    @Test func waitsAtLeastAsLongAsTheServerAsked() async {
        await #expect(throws: Failure(attempt: 6)) { try await failing(policy) { _ in .retry(after: .seconds(3)) } }
        #expect(clock.sleeps == [3, 3, 4, 5, 5].map { .seconds($0) })
    }

    @Test func noAttemptStartsAfterTheBudget() async {
        let policy = RetryPolicy(attempts: 10, budget: .seconds(10))
        // Two seconds each: attempts start at 0, 3, 7; the next one would at 13.
        await #expect(throws: Failure(attempt: 3)) { try await failing(policy, taking: .seconds(2)) }
        #expect(clock.now == .seconds(9))
    }

    @Test func tellsOfEachPauseAndOfTheSecondFailureInTheLog() async throws {
        let lines = LogLines(.notice)
        var noted: [Int] = []

        _ = try await policy.run(
            on: clock.time, jitter: { 1 }, decide: { _ in .retry() },
            noting: { error, attempt, delay in
                noted.append(attempt)
                lines.logger.tryingAgain(after: error, attempt: attempt, delay: delay)
            }
        ) { attempt in
            if attempt < 4 { throw Failure(attempt: attempt) }
        }

        #expect(noted == [1, 2, 3])
        #expect(
            lines.all == [
                "trying again in 2.0 s, after 2 attempts: Failure(attempt: 2)",
                "trying again in 4.0 s, after 3 attempts: Failure(attempt: 3)",
            ])
    }

    @Test func oneAttemptIsNoRetry() async {
        await #expect(throws: Failure(attempt: 1)) {
            try await failing(RetryPolicy(attempts: 1, budget: .seconds(100)))
        }
        #expect(clock.sleeps.isEmpty)
    }

    @Test func cancellationPassesAtOnce() async {
        await #expect(throws: CancellationError.self) {
            try await policy.run(on: clock.time, decide: { _ in .retry() }) { _ in throw CancellationError() }
        }
        #expect(clock.sleeps.isEmpty)
    }

    @Test func aCancelledPauseEndsTheRetries() async {
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await failing(policy)
        }
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
