package import Logging
import Synchronization

/// Shows the progress of the work: as a bar on a terminal, elsewhere as a log message every ten seconds.
package final class Progress: Sendable {
    package enum Style: Sendable {
        /// The closure returns the terminal's width.
        case bar(@Sendable () -> Int)
        case log
    }

    private struct State {
        var noun = ""
        var done = 0
        var total = 0
        var startedAt = Duration.zero
        var shownAt: Duration?
    }

    private let title: String
    private let style: Style
    private let console: Console
    private let logger: Logger
    private let elapsed: @Sendable () -> Duration
    private let state = Mutex(State())

    package init(
        title: String, style: Style, console: Console, logger: Logger, elapsed: @escaping @Sendable () -> Duration
    ) {
        self.title = title
        self.style = style
        self.console = console
        self.logger = logger
        self.elapsed = elapsed
    }

    func begin(_ noun: String, total: Int) {
        let now = elapsed()
        state.withLock { $0 = State(noun: noun, total: total, startedAt: now) }
        guard case .bar = style else {
            // The first message comes after ten seconds, because most runs have ended by then.
            state.withLock { $0.shownAt = now }
            return
        }
        update(at: now, doneNow: 0, subject: "")
    }

    func advance(_ subject: String) {
        update(at: elapsed(), doneNow: 1, subject: subject)
    }

    private func update(at now: Duration, doneNow: Int, subject: String) {
        let interval: Duration = if case .bar = style { .milliseconds(100) } else { .seconds(10) }
        let due: State? = state.withLock { state in
            state.done += doneNow
            if let shownAt = state.shownAt, now - shownAt < interval { return nil }
            state.shownAt = now
            return state
        }
        guard let due else { return }
        switch style {
        case .log:
            logger.info("\(due.done) of \(due.total) \(due.noun)")
        case .bar(let width):
            let bar = ProgressBar(
                title: title, done: due.done, total: due.total, elapsed: now - due.startedAt, subject: subject)
            console.show(bar: bar.line(width: width()))
        }
    }
}

/// The line on a terminal that shows the progress of the work.
struct ProgressBar {
    let title: String
    let done: Int
    let total: Int
    let elapsed: Duration
    let subject: String

    /// At most `width - 1` columns, because some terminals wrap in the last column. Under 40 columns it is only the numbers.
    func line(width: Int) -> String {
        let numbers = "\(done)/\(total)"
        guard width >= 40 else { return String(numbers.prefix(max(0, width - 1))) }
        let cells = 12
        let filled = total > 0 ? min(cells, cells * done / total) : cells
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: cells - filled)
        let parts = [title, "[\(bar)] \(numbers)", "\(elapsed.components.seconds) s", printable(subject)]
        return String(parts.filter { !$0.isEmpty }.joined(separator: "  ").prefix(width - 1))
    }
}
