import Logging
import Synchronization

/// Where a run writes, what it reports to, and what its summary needs to know from the start.
struct RunSetting: Sendable {
    let job: String
    let options: CommonOptions
    let settings: RuntimeSettings
    let surroundings: ProcessSurroundings
    let startedAt: Timestamp
    let startedAtElapsed: Duration
    let console: Console
    let logger: Logger
    let report: RunReport
    private let logsText: Bool

    var now: Timestamp { options.instant ?? startedAt }

    init(job: String, options: CommonOptions, settings: RuntimeSettings, surroundings: ProcessSurroundings) {
        let console = Console(writeOutput: surroundings.writeOutput, writeError: surroundings.writeError)
        let isTerminal = surroundings.isErrorTerminal
        let isCapable = isTerminal && !settings.isDumbTerminal
        let logsText = settings.logsText(onTerminal: isTerminal, json: options.json)
        let layout: @Sendable (LogEntry) -> String
        if logsText {
            layout = TextLayout(hasColours: isCapable && settings.allowsColours).line(for:)
        } else {
            layout = CloudLoggingLayout(job: job, task: settings.task).line(for:)
        }
        let logger = Logger(label: job) { _ in
            ConsoleLogHandler(
                level: (options.logLevel ?? settings.logLevel).level, console: console,
                wallClock: surroundings.wallClock, layout: layout)
        }
        let style: Progress.Style = logsText && isCapable ? .bar(surroundings.terminalWidth) : .log
        let progress = Progress(
            title: job, style: style, console: console, logger: logger, elapsed: surroundings.elapsed)
        self.job = job
        self.options = options
        self.settings = settings
        self.surroundings = surroundings
        self.startedAt = surroundings.wallClock()
        self.startedAtElapsed = surroundings.elapsed()
        self.console = console
        self.logger = logger
        self.report = RunReport(console: console, logger: logger, progress: progress, printsResults: logsText)
        self.logsText = logsText
    }

    /// Names all problems of the configuration in one message on standard error.
    func refuse(_ problems: [String]) {
        let title = "\(job) cannot start: \(spoken(problems.count, "problems")) in the environment"
        let message = ([title] + problems.map { "  " + printable($0) }).joined(separator: "\n")
        guard !logsText else { return console.log(message) }
        let layout = CloudLoggingLayout(job: job, task: settings.task)
        console.log(layout.line(for: LogEntry(time: startedAt, level: .error, message: message)))
    }

    /// Prints the summary as the last line of the run.
    /// - Returns: Whether nothing failed, the printing included.
    func finish(stopReason: String?) -> Bool {
        let summary = RunSummary(
            job: job, task: settings.task, isDryRun: options.isDryRun, now: now, startedAt: startedAt,
            finishedAt: surroundings.wallClock(), duration: surroundings.elapsed() - startedAtElapsed,
            stopReason: stopReason, record: report.record.withLock { $0 })
        let json = summary.json(withDetails: options.json)
        let isTaken = console.close(with: logsText ? printable(summary.sentence) + "\n" + json : json)
        return isTaken && summary.status != .failed
    }
}
