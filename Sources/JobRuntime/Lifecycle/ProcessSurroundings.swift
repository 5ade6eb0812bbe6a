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
