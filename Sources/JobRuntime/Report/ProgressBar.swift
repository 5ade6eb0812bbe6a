/// The one line on a terminal that shows how far the work is.
struct ProgressBar {
    let title: String
    let done: Int
    let total: Int
    let elapsed: Duration
    let subject: String

    /// At most `width - 1` columns, since some terminals wrap in the last one. Under 40 only the numbers.
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
