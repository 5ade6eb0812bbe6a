import Dispatch
import FoundationEssentials

#if canImport(Glibc)
    import Glibc
#endif

extension ProcessSurroundings {
    /// Those of this process.
    static var current: ProcessSurroundings {
        ProcessSurroundings(
            arguments: Array(CommandLine.arguments.dropFirst()),
            environment: ProcessInfo.processInfo.environment,
            writeOutput: { writeAll($0, to: STDOUT_FILENO) },
            writeError: { writeAll($0, to: STDERR_FILENO) },
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
            onStopSignal: { listen(with: $0) })
    }

    private static let queue = DispatchQueue(label: "lifecycle")

    // Signal sources live as long as something holds them: here, the process.
    nonisolated(unsafe) private static var sources: [any DispatchSourceSignal] = []

    private static func listen(with handler: @escaping @Sendable (StopSignal) -> Void) {
        // A reader that went away must not end the run.
        signal(SIGPIPE, SIG_IGN)
        queue.sync {
            for (number, stop) in [(SIGTERM, StopSignal.terminate), (SIGINT, .interrupt)] {
                let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
                source.setEventHandler { handler(stop) }
                source.activate()
                sources.append(source)
            }
        }
    }
}
