package import Logging
package import Synchronization

/// Collects the counts, failures and warnings of a run for its summary. Many tasks may use it at once.
///
/// ```swift
/// report.declare(counts: "organizations", "columns_added")
/// report.add(3, to: "columns_added")
/// report.fail("acme", "the dataset is in EU, not in US")    // exit code 1
/// ```
package final class RunReport: Sendable {
    package let record = Mutex(RunRecord())
    private let console: Console
    private let logger: Logger
    private let progress: Progress
    /// Whether results are printed, because logs are text for people. Otherwise results are log messages.
    private let printsResults: Bool

    package init(console: Console, logger: Logger, progress: Progress, printsResults: Bool) {
        self.console = console
        self.logger = logger
        self.progress = progress
        self.printsResults = printsResults
    }

    /// Names the counts that the summary shows even if they stay 0. A name is a plural with `_` for spaces, such as
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

    /// Records and logs a failure of one subject. The run goes on, and its exit code will be 1.
    package func fail(_ subject: String, _ reason: String) {
        record.withLock { $0.failures.add(subject, reason) }
        logger.error("\(subject): \(reason)")
    }

    /// Records and logs a warning for an operator. The exit code does not change.
    package func warn(_ subject: String, _ reason: String) {
        record.withLock { $0.warnings.add(subject, reason) }
        logger.warning("\(subject): \(reason)")
    }

    /// Records the reason for which there was nothing to do. The status will be `skipped` unless something failed.
    package func skip(_ reason: String) {
        record.withLock { $0.skipReason = reason }
        logger.notice("skipped: \(reason)")
    }

    /// Starts a progress bar for that many items. It replaces an earlier one.
    package func begin(_ noun: String, total: Int) { progress.begin(noun, total: total) }

    /// Counts one more item as done.
    package func advance(_ subject: String = "") { progress.advance(subject) }

    /// Prints one line of result.
    package func line(_ text: String) {
        guard printsResults else { return logger.info("\(text)") }
        console.print(printable(text))
    }

    /// Prints rows in aligned columns. Prints nothing if there are no rows.
    package func table(header: [String], rows: [[String]]) {
        guard printsResults else { return rows.forEach { logger.info("\($0.joined(separator: ": "))") } }
        guard !rows.isEmpty else { return }
        console.print(TextTable(header: header, rows: rows).lines.joined(separator: "\n"))
    }

    /// The outcome of the run so far, for the run history and the notification.
    package struct Outcome: Sendable {
        /// `succeeded`, `failed`, `skipped` or `stopped`, as in the summary.
        package let status: String
        /// Whether the run has to stop. A closing must then end within its part of the ``StopBudget``.
        package let isStopped: Bool
        package let counts: JSONValue
        let failureFindings: RunRecord.Findings
        let warnings: Int

        /// `subject: reason` each; at most a hundred.
        package var failures: [String] { failureFindings.kept.map { "\($0.subject): \($0.reason)" } }
    }

    package func outcome(isStopped: Bool) -> Outcome {
        record.withLock { record in
            let ending: RunSummary.Status = record.skipReason == nil ? .succeeded : .skipped
            let status = isStopped ? .stopped : record.failures.count == 0 ? ending : .failed
            return Outcome(
                status: status.rawValue, isStopped: isStopped,
                counts: .object(JSONObject(record.counts.map { ($0.name, .integer($0.value)) })),
                failureFindings: record.failures,
                warnings: record.warnings.count)
        }
    }

    /// Puts a structured detail under `details` of the summary, which only `--json` shows.
    /// - Parameter isAlwaysShown: Every summary has it, also those that Cloud Logging gets.
    package func attach(_ key: String, _ value: JSONValue, always isAlwaysShown: Bool = false) {
        record.withLock { record in
            record.details.append((key, value))
            if isAlwaysShown { record.shownDetails.insert(key) }
        }
    }
}

/// The counts, failures and warnings of a run so far.
package struct RunRecord: Sendable {
    /// Failures or warnings: the first hundred, and the number of later ones.
    package struct Findings: Sendable {
        static let limit = 100
        static let reasonLimit = 500

        package private(set) var kept: [(subject: String, reason: String)] = []
        private(set) var omitted = 0

        var count: Int { kept.count + omitted }

        // The summary must be one log entry, which may have 256 KB.
        mutating func add(_ subject: String, _ reason: String) {
            guard kept.count < Self.limit else {
                omitted += 1
                return
            }
            let shortened = reason.count > Self.reasonLimit ? reason.prefix(Self.reasonLimit) + "…" : reason[...]
            kept.append((String(subject.prefix(Self.reasonLimit)), String(shortened)))
        }
    }

    private(set) var counts: [(name: String, value: Int)] = []
    package var failures = Findings()
    package var warnings = Findings()
    package var skipReason: String?
    /// The requests to BigQuery, Stripe and all others, those for tokens and repetitions included.
    var requests = 0
    var details: [(key: String, value: JSONValue)] = []
    /// The keys of the details that are shown without `--json`, too.
    var shownDetails: Set<String> = []

    mutating func add(_ number: Int, to name: String) {
        if let index = counts.firstIndex(where: { $0.name == name }) {
            counts[index].value += number
        } else {
            counts.append((name, number))
        }
    }
}
