package import JobRuntime
import Synchronization

/// A clock on which every sleep is over at once, and that much later.
package final class LeapingClock: Sendable {
    private let state = Mutex((now: Duration.zero, sleeps: [Duration]()))

    package init() {}

    package var now: Duration { state.withLock { $0.now } }
    package var sleeps: [Duration] { state.withLock { $0.sleeps } }

    package var time: TimeSource {
        TimeSource(
            elapsed: { self.now },
            sleep: { duration in
                try Task.checkCancellation()
                self.state.withLock { state in
                    state.now += duration
                    state.sleeps.append(duration)
                }
                await Task.yield()
            })
    }

    package func pass(_ duration: Duration) {
        state.withLock { $0.now += duration }
    }
}
