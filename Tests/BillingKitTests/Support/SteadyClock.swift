import JobRuntime
import Synchronization

/// A wall clock that goes on by a millisecond each time somebody looks at it, and by more when a test says so.
final class SteadyClock: Sendable {
    static let start = Timestamp("2026-03-15T02:00:00Z")!

    private let state = Mutex(SteadyClock.start)

    func now() -> Timestamp {
        state.withLock { now in
            now = now.adding(.milliseconds(1))
            return now
        }
    }

    func pass(_ duration: Duration) { state.withLock { $0 = $0.adding(duration) } }
}
