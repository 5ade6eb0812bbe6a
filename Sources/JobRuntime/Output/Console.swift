import Synchronization

/// Standard output and standard error behind one lock, so that the progress bar never mixes with a line of either.
package final class Console: Sendable {
    private struct State {
        var bar = ""
        var isClosed = false
    }

    private let state = Mutex(State())
    private let writeOutput: @Sendable (String) -> Bool
    private let writeError: @Sendable (String) -> Void

    /// Each text is written by one call of one of these.
    package init(writeOutput: @escaping @Sendable (String) -> Bool, writeError: @escaping @Sendable (String) -> Void) {
        self.writeOutput = writeOutput
        self.writeError = writeError
    }

    /// A line for standard error: logs.
    func log(_ line: String) {
        state.withLock { state in
            guard !state.isClosed else { return }
            writeError(Self.erasing(state.bar) + line + "\n" + state.bar)
        }
    }

    /// Whole lines for standard output: results.
    func print(_ text: String) {
        state.withLock { state in
            guard !state.isClosed else { return }
            if !state.bar.isEmpty { writeError(Self.erasing(state.bar)) }
            // A failure shows at the latest when the console is closed.
            _ = writeOutput(text + "\n")
            if !state.bar.isEmpty { writeError(state.bar) }
        }
    }

    /// Draws the bar over the previous one; empty removes it.
    func show(bar: String) {
        state.withLock { state in
            guard !state.isClosed, bar != state.bar else { return }
            writeError(Self.erasing(state.bar) + bar)
            state.bar = bar
        }
    }

    /// Prints the last lines of standard output, or of standard error where standard output does not take them; nothing
    /// that is written afterwards appears.
    /// - Returns: Whether standard output took them.
    func close(with lines: String) -> Bool {
        state.withLock { state in
            guard !state.isClosed else { return true }
            if !state.bar.isEmpty { writeError(Self.erasing(state.bar)) }
            let isTaken = writeOutput(lines + "\n")
            if !isTaken { writeError("standard output does not take the summary:\n" + lines + "\n") }
            state = State(isClosed: true)
            return isTaken
        }
    }

    private static func erasing(_ bar: String) -> String { bar.isEmpty ? "" : "\r\u{1B}[K" }
}
