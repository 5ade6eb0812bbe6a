package import JobRuntime
import Logging
import Synchronization

/// A report of a run whose output and findings a test can read.
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

    /// What went to standard output.
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
