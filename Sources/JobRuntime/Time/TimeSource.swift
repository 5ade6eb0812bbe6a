import Glibc
package import HTTPTransport

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

    package static var system: TimeSource { Machine.current.time }
}

/// The clocks, the jitter and the network of the machine that the jobs of this process run on. A program that simulates a machine replaces
/// it before its first run; the jobs never do.
package struct Machine: Sendable {
    package var wallClock: @Sendable () -> Timestamp
    package var time: TimeSource
    /// A random number from 0 to 1.
    package var jitter: @Sendable () -> Double
    package var transport: @Sendable (CurlTransport.Configuration) -> any HTTPTransport

    package init(
        wallClock: @escaping @Sendable () -> Timestamp, time: TimeSource, jitter: @escaping @Sendable () -> Double,
        transport: @escaping @Sendable (CurlTransport.Configuration) -> any HTTPTransport
    ) {
        self.wallClock = wallClock
        self.time = time
        self.jitter = jitter
        self.transport = transport
    }

    // It is written once at most, while the process has one thread.
    nonisolated(unsafe) package static var current = Machine(
        wallClock: {
            let now = clockReading(CLOCK_REALTIME)
            return Timestamp(microseconds: Int64(now.seconds) * 1_000_000 + Int64(now.nanoseconds / 1000))
        },
        time: TimeSource(
            elapsed: {
                let now = clockReading(CLOCK_MONOTONIC)
                return .seconds(now.seconds) + .nanoseconds(now.nanoseconds)
            },
            sleep: { try await Task.sleep(for: $0) }),
        jitter: { .random(in: 0...1) },
        transport: { CurlTransport($0) })
}

extension Timestamp {
    /// The time of the machine's clock. Jobs use ``Run/now`` instead, except for stamps, leases and what is running now.
    package static func wallClock() -> Timestamp { Machine.current.wallClock() }
}

private func clockReading(_ clock: clockid_t) -> (seconds: Int, nanoseconds: Int) {
    var reading = timespec()
    clock_gettime(clock, &reading)
    return (reading.tv_sec, reading.tv_nsec)
}
