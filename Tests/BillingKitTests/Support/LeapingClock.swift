import JobRuntime
import Synchronization

/// A clock on which every sleep is over at once, and that much later.
final class LeapingClock: Sendable {
    private let state = Mutex((now: Duration.zero, sleeps: [Duration]()))

    var sleeps: [Duration] { state.withLock { $0.sleeps } }

    var time: TimeSource {
        TimeSource(
            elapsed: { self.state.withLock { $0.now } },
            sleep: { duration in
                try Task.checkCancellation()
                self.state.withLock { state in
                    state.now += duration
                    state.sleeps.append(duration)
                }
            })
    }
}
