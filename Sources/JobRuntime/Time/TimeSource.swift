import Glibc

/// A clock that never goes back and a sleep on it, for waits and rates. Tests replace both.
package struct TimeSource: Sendable {
    /// The time since a fixed moment.
    package var elapsed: @Sendable () -> Duration
    /// Throws `CancellationError` when the task is canceled.
    package var sleep: @Sendable (Duration) async throws -> Void

    package init(
        elapsed: @escaping @Sendable () -> Duration, sleep: @escaping @Sendable (Duration) async throws -> Void
    ) {
        self.elapsed = elapsed
        self.sleep = sleep
    }

    package static let system = TimeSource(
        elapsed: {
            let now = clockReading(CLOCK_MONOTONIC)
            return .seconds(now.seconds) + .nanoseconds(now.nanoseconds)
        },
        sleep: { try await Task.sleep(for: $0) })
}

extension Timestamp {
    /// The time of the machine's clock. Jobs use ``Run/now`` instead, except for stamps, leases and what is running now.
    package static func wallClock() -> Timestamp {
        let now = clockReading(CLOCK_REALTIME)
        return Timestamp(microseconds: Int64(now.seconds) * 1_000_000 + Int64(now.nanoseconds / 1000))
    }
}

private func clockReading(_ clock: clockid_t) -> (seconds: Int, nanoseconds: Int) {
    var reading = timespec()
    clock_gettime(clock, &reading)
    return (reading.tv_sec, reading.tv_nsec)
}
