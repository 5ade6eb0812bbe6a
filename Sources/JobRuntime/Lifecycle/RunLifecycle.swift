import Logging
import Synchronization

/// Runs a job's work until it ends or has to stop, performs the closings of the run, and prints the summary.
///
/// A signal or the deadline cancels the work. ``StopBudget`` divides the time that is left. When it is over, the summary is
/// printed even if the work or a closing has not ended. A stop works even if the job has blocked all threads of the
/// cooperative pool, and even if nothing reads the log.
///
/// The error that ended the work is recorded before the closings begin, so that the run history and the notification
/// report the same outcome as the summary.
final class RunLifecycle: Sendable {
    private struct State {
        var work: Task<Void, Never>?
        var stopReason: String?
        var onEnd: CheckedContinuation<JobExitCode, Never>?
    }

    private let setting: RunSetting
    private let run: Run
    private let state = Mutex(State())

    init(_ setting: RunSetting, _ run: Run) {
        self.setting = setting
        self.run = run
    }

    func run(_ work: @escaping @Sendable () async throws -> Void) async -> JobExitCode {
        await withCheckedContinuation { continuation in
            state.withLock { $0.onEnd = continuation }
            setting.surroundings.onStopSignal { self.receive($0) }
            if let deadline = setting.settings.deadline {
                setting.surroundings.after(deadline) { self.stop("deadline of \(spoken(deadline)) reached") }
            }
            let task = Task.detached {
                let status = self.record(await Self.error(of: work))
                await self.close(status)
                self.end(status)
            }
            // A signal may have come before there was a task to cancel.
            let isStopped = state.withLock { state in
                state.work = task
                return state.stopReason != nil
            }
            if isStopped { task.cancel() }
        }
    }

    private func receive(_ signal: StopSignal) {
        let isSecond = state.withLock { $0.stopReason != nil }
        if isSecond, signal == .interrupt { return end(.stopped) }
        stop("\(signal.rawValue) received")
    }

    private func stop(_ reason: String) {
        let (work, isStopping, hasEnded) = state.withLock { state in
            let before = (state.work, state.stopReason != nil, state.onEnd == nil)
            if state.onEnd != nil, state.stopReason == nil { state.stopReason = reason }
            return before
        }
        // The summary is being written. Its reader may be stuck, so the process ends without it.
        if hasEnded {
            return setting.surroundings.after(StopBudget.limit(of: .summary)) {
                self.setting.surroundings.exit(.stopped)
            }
        }
        if isStopping { return }
        // The timer starts before the log message, because writing never ends if nothing reads the log.
        setting.surroundings.after(StopBudget.untilSummary) { self.end(.stopped) }
        setting.logger.notice("\(reason): stopping at the next safe point")
        work?.cancel()
    }

    private static func error(of work: @Sendable () async throws -> Void) async -> (any Error)? {
        do {
            try await work()
            return nil
        } catch {
            return error
        }
    }

    /// Records the error that ended the work in the report.
    private func record(_ error: (any Error)?) -> JobExitCode {
        let isStopped = state.withLock { $0.stopReason != nil }
        switch error {
        case nil:
            if run.isExclusive, !run.isDryRun, !run.closings.contains(.lease) {
                run.report.fail(
                    run.job, "the job is exclusive, but it worked without a lease: this is a fault of the job")
            }
            return .success
        case let skipped as RunSkipped:
            run.report.skip(skipped.reason)
            return .success
        case is CancellationError where isStopped: return .stopped
        case let error as ConfigurationError:
            error.problems.forEach { run.report.fail("configuration", $0) }
            return .configuration
        case let error as any FailedOperation: run.report.fail(error.operation, error.reason)
        case let error?: run.report.fail(run.job, String(describing: error))
        }
        // Canceled work may throw another error, and the rest of it is not done either way.
        return isStopped ? .stopped : .failure
    }

    /// Performs the closings in a task of their own, because the task of a stopped run is canceled.
    private func close(_ status: JobExitCode) async {
        let (run, isStopped) = (run, status == .stopped)
        await Task.detached { await run.closings.close { run.report.outcome(isStopped: isStopped) } }.value
    }

    /// Prints the summary and ends the process. Later calls do nothing.
    private func end(_ status: JobExitCode) {
        let (onEnd, reason) = state.withLock { state in
            let taken = (state.onEnd, state.stopReason)
            state.onEnd = nil
            return taken
        }
        guard let onEnd else { return }
        if status == .stopped {
            setting.surroundings.after(StopBudget.limit(of: .summary)) { self.setting.surroundings.exit(status) }
        }
        let isClean = setting.finish(stopReason: status == .stopped ? reason : nil)
        let final = status == .success && !isClean ? .failure : status
        setting.surroundings.exit(final)
        onEnd.resume(returning: final)
    }
}

/// The console, the logger and the report of a run, and the facts that its summary needs from the start.
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
            layout = TextLayout(hasColors: isCapable && settings.allowsColors).line(for:)
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
    /// - Returns: Whether nothing failed, including the printing.
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
