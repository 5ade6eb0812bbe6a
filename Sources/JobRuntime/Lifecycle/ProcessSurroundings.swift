import Dispatch
import FoundationEssentials
import Glibc
import Synchronization

/// Everything that a job's process takes from the outside and gives to it.
struct ProcessSurroundings: Sendable {
    /// Without the program's name.
    var arguments: [String]
    var environment: [String: String]
    /// Whether standard output took all of it.
    var writeOutput: @Sendable (String) -> Bool
    var writeError: @Sendable (String) -> Void
    var isErrorTerminal: Bool
    var terminalWidth: @Sendable () -> Int
    var wallClock: @Sendable () -> Timestamp
    var elapsed: @Sendable () -> Duration
    /// Calls the closure after that time, from a thread that neither the job nor another such closure can block.
    var after: @Sendable (Duration, @escaping @Sendable () -> Void) -> Void
    /// Ends the process at once, from any thread; returns only where a test put something else here.
    var exit: @Sendable (JobExitCode) -> Void
    /// Calls the closure for every signal, from a thread that the job cannot block.
    var onStopSignal: @Sendable (@escaping @Sendable (StopSignal) -> Void) -> Void
}

extension ProcessSurroundings {
    /// Those of this process, which from now on leaves stop signals to the job.
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
            // Not exit(3): its handlers would tear down libraries that other threads of this process still use.
            exit: { _exit($0.rawValue) },
            onStopSignal: { handler in
                let early = signals.withLock { signals in
                    signals.handler = handler
                    return signals.early
                }
                early.forEach(handler)
            })
    }

    /// Concurrent, because whoever writes to a reader that is stuck is stuck as well, and the next must not wait for it.
    private static let queue = DispatchQueue(label: "lifecycle", attributes: .concurrent)

    private struct Signals {
        var handler: (@Sendable (StopSignal) -> Void)?
        /// Those that came before the run began.
        var early: [StopSignal] = []
    }

    private static let signals = Mutex(Signals())
    // Signal sources live as long as something holds them: here, the process. Only main() adds to them.
    nonisolated(unsafe) private static var sources: [any DispatchSourceSignal] = []

    private static func listen() {
        // A reader that went away must not end the run.
        signal(SIGPIPE, SIG_IGN)
        // Dispatch's own threads block all signals, but this one does not, and would die of them.
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
enum StopSignal: String, Sendable {
    /// From Cloud Run, on cancellation, timeout and shutdown.
    case terminate = "SIGTERM"
    /// Ctrl-C.
    case interrupt = "SIGINT"
}
