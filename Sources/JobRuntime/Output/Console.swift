import Glibc
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

    /// Each text is written by one call of one of these closures.
    package init(writeOutput: @escaping @Sendable (String) -> Bool, writeError: @escaping @Sendable (String) -> Void) {
        self.writeOutput = writeOutput
        self.writeError = writeError
    }

    /// Writes a line of the log to standard error.
    func log(_ line: String) {
        state.withLock { state in
            guard !state.isClosed else { return }
            writeError(Self.erasing(state.bar) + line + "\n" + state.bar)
        }
    }

    /// Writes whole lines of results to standard output.
    func print(_ text: String) {
        state.withLock { state in
            guard !state.isClosed else { return }
            if !state.bar.isEmpty { writeError(Self.erasing(state.bar)) }
            // Closing the console reports a failure.
            _ = writeOutput(text + "\n")
            if !state.bar.isEmpty { writeError(state.bar) }
        }
    }

    /// Draws the bar over the previous one. An empty text removes it.
    func show(bar: String) {
        state.withLock { state in
            guard !state.isClosed, bar != state.bar else { return }
            writeError(Self.erasing(state.bar) + bar)
            state.bar = bar
        }
    }

    /// Prints the last lines on standard output, or on standard error if standard output does not accept them. Later lines
    /// are dropped.
    /// - Returns: Whether standard output accepted the lines.
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

/// Writes the whole text, by one write(2) if the kernel accepts all of it at once.
/// - Returns: Whether all of the text was written.
func writeAll(_ text: String, to descriptor: Int32) -> Bool {
    var text = text
    return text.withUTF8 { bytes in
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = write(descriptor, UnsafeBufferPointer(rebasing: rest).baseAddress, rest.count)
            if written >= 0 {
                rest = rest.dropFirst(written)
            } else if errno == EAGAIN {
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&ready, 1, 1000)
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }
}

/// Opens `/dev/null` for each of standard input, output and error that is closed, before another file gets its number and
/// with it the lines of the job. Writing to a standard output that was closed fails.
func reserveStandardDescriptors() {
    for (descriptor, access) in [(STDIN_FILENO, O_RDONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
    where fcntl(descriptor, F_GETFD) == -1 {
        _ = open("/dev/null", access)
    }
}

/// The columns of the terminal behind standard error; 80 if they are not known.
func terminalWidth() -> Int {
    var size = winsize()
    return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
}
