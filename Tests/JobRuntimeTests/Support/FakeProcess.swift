import Synchronization

@testable import JobRuntime

/// A process that exists only in memory: what it wrote can be read, its signals and timers are the test's to fire.
final class FakeProcess: Sendable {
    private struct State {
        var output = ""
        var error = ""
        var elapsed = Duration.zero
        var timers: [(delay: Duration, action: @Sendable () -> Void)] = []
        var signalHandler: (@Sendable (StopSignal) -> Void)?
        var exits: [JobExitCode] = []
    }

    static let start = Timestamp("2026-01-31T00:05:00Z")!

    private let state = Mutex(State())
    private let changes: AsyncStream<Void>
    private let changed: AsyncStream<Void>.Continuation

    init() {
        (changes, changed) = AsyncStream.makeStream()
    }

    var output: String { state.withLock { $0.output } }
    var error: String { state.withLock { $0.error } }
    var outputLines: [String] { output.split(separator: "\n").map(String.init) }
    var errorLines: [String] { error.split(separator: "\n").map(String.init) }
    var exits: [JobExitCode] { state.withLock { $0.exits } }
    var isListening: Bool { state.withLock { $0.signalHandler != nil } }
    var timers: [Duration] { state.withLock { $0.timers.map(\.delay) } }

    func surroundings(
        _ arguments: [String] = [], environment: [String: String] = [:], isTerminal: Bool = false, width: Int = 80,
        takesOutput: Bool = true
    ) -> ProcessSurroundings {
        ProcessSurroundings(
            arguments: arguments, environment: environment,
            writeOutput: { text in
                if takesOutput { self.update { $0.output += text } }
                return takesOutput
            },
            writeError: { text in self.update { $0.error += text } },
            isErrorTerminal: isTerminal, terminalWidth: { width },
            wallClock: { self.state.withLock { Self.start.adding($0.elapsed) } },
            elapsed: { self.state.withLock { $0.elapsed } },
            after: { delay, action in self.update { $0.timers.append((delay, action)) } },
            exit: { status in self.update { $0.exits.append(status) } },
            onStopSignal: { handler in self.update { $0.signalHandler = handler } })
    }

    func run<Job: ScheduledJob>(
        _ job: Job.Type, _ arguments: [String] = [], environment: [String: String] = [:], isTerminal: Bool = false
    ) async -> JobExitCode {
        await JobProcess<Job>(surroundings(arguments, environment: environment, isTerminal: isTerminal)).run()
    }

    func send(_ signal: StopSignal) {
        state.withLock { $0.signalHandler }?(signal)
    }

    /// Lets that much time pass; timers are fired by `fire` only.
    func pass(_ duration: Duration) {
        state.withLock { $0.elapsed += duration }
    }

    /// Runs the timers that were set for exactly that delay.
    func fire(_ delay: Duration) {
        let due = state.withLock { state in
            defer { state.timers.removeAll { $0.delay == delay } }
            return state.timers.filter { $0.delay == delay }
        }
        due.forEach { $0.action() }
    }

    func wait(until condition: (FakeProcess) -> Bool) async {
        if condition(self) { return }
        for await _ in changes where condition(self) { return }
    }

    private func update(_ change: (inout State) -> Void) {
        state.withLock { change(&$0) }
        changed.yield()
    }
}
