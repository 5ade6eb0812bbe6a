import Logging
import Synchronization

/// Runs a job's work until it ends, or is told to stop.
///
/// A signal or the deadline cancels the work, which then has seven seconds to reach a safe point, and the summary has one
/// to be taken; Cloud Run kills the process after ten. None of this needs a thread of the cooperative pool, all of which the
/// work may have blocked, nor a reader of the logs, who may be stuck.
final class RunLifecycle: Sendable {
    static let grace = Duration.seconds(7)
    static let patienceWithReaders = Duration.seconds(1)

    private struct State {
        var work: Task<Void, Never>?
        var stopReason: String?
        var onEnd: CheckedContinuation<JobExitCode, Never>?
    }

    private let setting: RunSetting
    private let state = Mutex(State())

    init(_ setting: RunSetting) {
        self.setting = setting
    }

    func run(_ work: @escaping @Sendable () async throws -> Void) async -> JobExitCode {
        await withCheckedContinuation { continuation in
            state.withLock { $0.onEnd = continuation }
            setting.surroundings.onStopSignal { self.receive($0) }
            if let deadline = setting.settings.deadline {
                setting.surroundings.after(deadline) { self.stop("deadline of \(spoken(deadline)) reached") }
            }
            let task = Task.detached { self.end(after: await Self.outcome(of: work)) }
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
        // The summary is being written; who reads it may be stuck.
        if hasEnded {
            return setting.surroundings.after(Self.patienceWithReaders) { self.setting.surroundings.exit(.stopped) }
        }
        if isStopping { return }
        // Before anything is written, which may take for ever where nobody reads it.
        setting.surroundings.after(Self.grace) { self.end(.stopped) }
        setting.logger.notice("\(reason): stopping at the next safe point")
        work?.cancel()
    }

    private static func outcome(of work: @Sendable () async throws -> Void) async -> (any Error)? {
        do {
            try await work()
            return nil
        } catch {
            return error
        }
    }

    private func end(after error: (any Error)?) {
        let isStopped = state.withLock { $0.stopReason != nil }
        switch error {
        case nil: end(.success)
        case is CancellationError where isStopped: end(.stopped)
        case let error as ConfigurationError:
            error.problems.forEach { setting.report.fail("configuration", $0) }
            end(.configuration)
        case let error?:
            setting.report.fail("job", String(describing: error))
            // Work that is cancelled may fail with something else, and the rest is undone all the same.
            end(isStopped ? .stopped : .failure)
        }
    }

    /// Prints the summary and hands over the exit status; only the first call does.
    private func end(_ status: JobExitCode) {
        let (onEnd, reason) = state.withLock { state in
            let taken = (state.onEnd, state.stopReason)
            state.onEnd = nil
            return taken
        }
        guard let onEnd else { return }
        if status == .stopped {
            setting.surroundings.after(Self.patienceWithReaders) { self.setting.surroundings.exit(status) }
        }
        let isClean = setting.finish(stopReason: status == .stopped ? reason : nil)
        let final = status == .success && !isClean ? .failure : status
        setting.surroundings.exit(final)
        onEnd.resume(returning: final)
    }
}
