package import Logging
package import Synchronization

/// What a run did so far; at any moment ready to become the summary. Safe to use from many tasks at once.
package final class RunReport: Sendable {
    package let record = Mutex(RunRecord())
    private let console: Console
    private let logger: Logger
    private let progress: Progress
    /// Results are printed where logs are for people; elsewhere they are log messages, and only the summary is printed.
    private let printsResults: Bool

    package init(console: Console, logger: Logger, progress: Progress, printsResults: Bool) {
        self.console = console
        self.logger = logger
        self.progress = progress
        self.printsResults = printsResults
    }

    /// Names the counts that the summary shows even when they stay 0. A name is a plural with `_` for spaces, such as
    /// `organizations` or `columns_added`. Counts keep the order in which they were first named.
    package func declare(counts names: String...) {
        record.withLock { record in names.forEach { record.add(0, to: $0) } }
    }

    package func add(_ number: Int = 1, to count: String) {
        record.withLock { $0.add(number, to: count) }
    }

    package func count(of name: String) -> Int {
        record.withLock { record in record.counts.first { $0.name == name }?.value ?? 0 }
    }

    /// Records that the work on one subject failed, and logs it. The exit code will be 1; the run goes on.
    package func fail(_ subject: String, _ reason: String) {
        record.withLock { $0.failures.add(subject, reason) }
        logger.error("\(subject): \(reason)")
    }

    /// Records something that an operator should look at, and logs it. The exit code stays as it is.
    package func warn(_ subject: String, _ reason: String) {
        record.withLock { $0.warnings.add(subject, reason) }
        logger.warning("\(subject): \(reason)")
    }

    /// Says why there was nothing to do: unless something failed, the status will be `skipped`.
    package func skip(_ reason: String) {
        record.withLock { $0.skipReason = reason }
        logger.notice("skipped: \(reason)")
    }

    /// Starts to show progress over that many items, in place of any earlier progress.
    package func begin(_ noun: String, total: Int) { progress.begin(noun, total: total) }

    /// One more item is done.
    package func advance(_ subject: String = "") { progress.advance(subject) }

    /// Tells one line of result.
    package func line(_ text: String) {
        guard printsResults else { return logger.info("\(text)") }
        console.print(printable(text))
    }

    /// Tells rows in aligned columns; nothing where there are no rows.
    package func table(header: [String], rows: [[String]]) {
        guard printsResults else { return rows.forEach { logger.info("\($0.joined(separator: ": "))") } }
        guard !rows.isEmpty else { return }
        console.print(TextTable(header: header, rows: rows).lines.joined(separator: "\n"))
    }

    /// What the run came to so far, for a record outside of the summary.
    package struct Outcome: Sendable {
        /// `succeeded`, `failed`, `skipped` or `stopped`, as in the summary.
        package let status: String
        package let counts: JSONText
        /// `subject: reason` each; at most a hundred.
        package let failures: [String]
    }

    /// - Parameters:
    ///   - error: What ended the work before its end.
    ///   - isStopped: Whether the run was told to stop; work that fails then counts as stopped, as in the summary.
    package func outcome(endedBy error: (any Error)? = nil, isStopped: Bool) -> Outcome {
        record.withLock { record in
            var failures = record.failures.kept.map { "\($0.subject): \($0.reason)" }
            let isStopped = isStopped && error != nil
            if let error, !(isStopped && error is CancellationError) { failures.append("job: \(error)") }
            let ending: RunSummary.Status = record.skipReason == nil ? .succeeded : .skipped
            let status = isStopped ? .stopped : failures.isEmpty ? ending : .failed
            return Outcome(
                status: status.rawValue, counts: .object(record.counts.map { ($0.name, .integer($0.value)) }),
                failures: failures)
        }
    }

    /// Puts a structured detail under `details` of the summary, which has them with `--json` only.
    package func attach(_ key: String, _ value: JSONText) {
        record.withLock { $0.details.append((key, value)) }
    }
}
