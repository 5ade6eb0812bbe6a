import Dispatch
import FoundationEssentials
import Glibc
import Synchronization

/// The inputs and outputs of a job's process. Tests and the simulation replace them.
package struct ProcessSurroundings: Sendable {
    /// The arguments after the program's name.
    package var arguments: [String]
    package var environment: [String: String]
    /// Returns whether standard output accepted all of the text.
    package var writeOutput: @Sendable (String) -> Bool
    package var writeError: @Sendable (String) -> Void
    package var isErrorTerminal: Bool
    package var terminalWidth: @Sendable () -> Int
    package var wallClock: @Sendable () -> Timestamp
    package var elapsed: @Sendable () -> Duration
    /// Calls the closure after that time, from a thread that neither the job nor another such closure can block.
    package var after: @Sendable (Duration, @escaping @Sendable () -> Void) -> Void
    /// Ends the process at once, from any thread. Only the replacement in a test returns.
    package var exit: @Sendable (JobExitCode) -> Void
    /// Calls the closure for every signal, from a thread that the job cannot block.
    package var onStopSignal: @Sendable (@escaping @Sendable (StopSignal) -> Void) -> Void

    package init(
        arguments: [String], environment: [String: String], writeOutput: @escaping @Sendable (String) -> Bool,
        writeError: @escaping @Sendable (String) -> Void, isErrorTerminal: Bool,
        terminalWidth: @escaping @Sendable () -> Int, wallClock: @escaping @Sendable () -> Timestamp,
        elapsed: @escaping @Sendable () -> Duration,
        after: @escaping @Sendable (Duration, @escaping @Sendable () -> Void) -> Void,
        exit: @escaping @Sendable (JobExitCode) -> Void,
        onStopSignal: @escaping @Sendable (@escaping @Sendable (StopSignal) -> Void) -> Void
    ) {
        self.arguments = arguments
        self.environment = environment
        self.writeOutput = writeOutput
        self.writeError = writeError
        self.isErrorTerminal = isErrorTerminal
        self.terminalWidth = terminalWidth
        self.wallClock = wallClock
        self.elapsed = elapsed
        self.after = after
        self.exit = exit
        self.onStopSignal = onStopSignal
    }
}

extension ProcessSurroundings {
    /// The surroundings of this process. From now on the job handles stop signals.
    static var current: ProcessSurroundings {
        reserveStandardDescriptors()
        listen()
        return ProcessSurroundings(
            arguments: Array(CommandLine.arguments.dropFirst()),
            environment: ProcessInfo.processInfo.environment,
            writeOutput: { writeAll($0, to: STDOUT_FILENO) },
            writeError: { _ = writeAll($0, to: STDERR_FILENO) },
            isErrorTerminal: isatty(STDERR_FILENO) == 1,
            terminalWidth: { JobRuntime.terminalWidth() },
            wallClock: { .wallClock() },
            elapsed: TimeSource.system.elapsed,
            after: { delay, action in
                let time = DispatchTime.now() + .milliseconds(delay.wholeMilliseconds)
                queue.asyncAfter(deadline: time, execute: action)
            },
            // The handlers of exit(3) would tear down libraries that other threads of this process still use.
            exit: { _exit($0.rawValue) },
            onStopSignal: { handler in
                let early = signals.withLock { signals in
                    signals.handler = handler
                    return signals.early
                }
                early.forEach(handler)
            })
    }

    /// The queue is concurrent: a write to a stuck reader blocks one thread, and the next action must not wait for it.
    private static let queue = DispatchQueue(label: "lifecycle", attributes: .concurrent)

    private struct Signals {
        var handler: (@Sendable (StopSignal) -> Void)?
        /// The signals that came before the run began.
        var early: [StopSignal] = []
    }

    private static let signals = Mutex(Signals())
    // A signal source ends when nothing holds it, so the process holds all of them. Only main() adds one.
    nonisolated(unsafe) private static var sources: [any DispatchSourceSignal] = []

    private static func listen() {
        // A reader that went away must not end the run.
        signal(SIGPIPE, SIG_IGN)
        // Dispatch's own threads block all signals. This thread does not, and a signal to it would end the process.
        var stops = sigset_t()
        sigemptyset(&stops)
        sigaddset(&stops, SIGTERM)
        sigaddset(&stops, SIGINT)
        pthread_sigmask(SIG_BLOCK, &stops, nil)
        for (number, stop) in [(SIGTERM, StopSignal.terminate), (SIGINT, .interrupt)] {
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler {
                let handler = signals.withLock { signals in
                    if signals.handler == nil { signals.early.append(stop) }
                    return signals.handler
                }
                handler?(stop)
            }
            source.activate()
            sources.append(source)
        }
    }
}

/// The signals that ask a job to stop.
package enum StopSignal: String, Sendable {
    /// From Cloud Run, on cancellation, timeout and shutdown.
    case terminate = "SIGTERM"
    /// Ctrl-C.
    case interrupt = "SIGINT"
}
