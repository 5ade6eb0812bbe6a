import Logging

/// Log entries for people: `00:05:00 WARNING message key=value`, in UTC.
struct TextLayout: Sendable {
    let hasColours: Bool

    func line(for entry: LogEntry) -> String {
        let clock = entry.time.description.dropFirst(11).prefix(8)
        let level = entry.level.rawValue.uppercased()
        let column = level + String(repeating: " ", count: max(0, 7 - level.count))
        let fields = entry.metadata.map { " \(printable($0.key))=\(Self.text($0.value))" }.joined()
        let colour = hasColours ? Self.colour(of: entry.level) : nil
        let shown = colour.map { "\u{1B}[\($0)m\(column)\u{1B}[0m" } ?? column
        return "\(clock) \(shown) \(printable(entry.message))\(fields)"
    }

    private static func text(_ value: Logger.MetadataValue) -> String {
        let text = value.description
        let isPlain = !text.isEmpty && !text.contains { $0 == " " || $0 == "\"" || $0 == "=" }
        return isPlain ? printable(text) : "\"" + printable(text, escapingQuotes: true) + "\""
    }

    private static func colour(of level: Logger.Level) -> Int? {
        switch level {
        case .trace, .debug: 90
        case .info: nil
        case .notice: 36
        case .warning: 33
        case .error, .critical: 31
        }
    }
}
