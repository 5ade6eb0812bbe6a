package import JobRuntime
package import Logging
import Synchronization

/// The report of a run. A test can read its output and findings.
package final class ReportFixture: Sendable {
    private let console: Console
    package let report: RunReport

    package init() {
        let sink = Sink()
        console = Console(writeOutput: { sink.write($0) }, writeError: { _ in })
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let progress = Progress(title: "test", style: .log, console: console, logger: logger, elapsed: { .zero })
        report = RunReport(console: console, logger: logger, progress: progress, printsResults: true)
        self.sink = sink
    }

    private let sink: Sink

    /// The text that went to standard output.
    package var output: String { sink.text.withLock { $0 } }
    package var failures: [(subject: String, reason: String)] { report.record.withLock { $0.failures.kept } }
    package var warnings: [(subject: String, reason: String)] { report.record.withLock { $0.warnings.kept } }

    package var skipReason: String? { report.record.withLock { $0.skipReason } }

    package subscript(count: String) -> Int { report.count(of: count) }

    private final class Sink: Sendable {
        let text = Mutex("")

        func write(_ part: String) -> Bool {
            text.withLock { $0 += part }
            return true
        }
    }
}

/// The messages that went to a logger at its level or above.
package final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])
    private let level: Logger.Level

    package init(_ level: Logger.Level = .trace) { self.level = level }

    package var all: [String] { lines.withLock { $0 } }
    package var logger: Logger { Logger(label: "test") { _ in Handler(lines: self, logLevel: level) } }

    private struct Handler: LogHandler {
        let lines: LogLines
        var logLevel: Logger.Level
        var metadata: Logger.Metadata = [:]

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { lines.lines.withLock { $0.append(event.message.description) } }
    }
}

/// A clock on which a sleep returns at once and moves the time forward by its duration.
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
