import Logging

/// Writes each log message as one line to the console.
struct ConsoleLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    private let console: Console
    private let wallClock: @Sendable () -> Timestamp
    private let layout: @Sendable (LogEntry) -> String

    init(
        level: Logger.Level, console: Console, wallClock: @escaping @Sendable () -> Timestamp,
        layout: @escaping @Sendable (LogEntry) -> String
    ) {
        logLevel = level
        self.console = console
        self.wallClock = wallClock
        self.layout = layout
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let own = event.metadata { all.merge(own) { $1 } }
        if let error = event.error { all["error"] = .string(String(describing: error)) }
        let sorted = all.sorted { $0.key < $1.key }.map { (key: $0.key, value: $0.value) }
        let message = event.message.description
        console.log(layout(LogEntry(time: wallClock(), level: event.level, message: message, metadata: sorted)))
    }
}

/// A log message with everything that a layout shows.
struct LogEntry {
    var time: Timestamp
    var level: Logger.Level
    var message: String
    /// Sorted by key.
    var metadata: [(key: String, value: Logger.MetadataValue)] = []
}

/// Log entries as Cloud Logging reads them from a container's output: one JSON object a line (fact RUN-08).
/// https://docs.cloud.google.com/logging/docs/structured-logging
struct CloudLoggingLayout: Sendable {
    /// The members that name the job, the execution and the task of a line. The summary has them, too.
    let origin: [(key: String, value: JSONValue)]

    init(job: String, task: CloudRunTask) {
        var labels = [(key: "job", value: JSONValue.string(job))]
        if let execution = task.execution { labels.append(("execution", .string(execution))) }
        labels.append(("task_index", .string(String(task.index))))
        labels.append(("attempt", .string(String(task.attempt))))
        var origin = [(key: "logging.googleapis.com/labels", value: JSONValue.object(JSONObject(labels)))]
        if let execution = task.execution {
            let operation = [(key: "id", value: JSONValue.string(execution)), (key: "producer", value: .string(job))]
            origin.append(("logging.googleapis.com/operation", .object(JSONObject(operation))))
        }
        self.origin = origin
    }

    func line(for entry: LogEntry) -> String {
        var members = Self.head(entry.level, entry.message, entry.time) + origin
        var taken = Set(members.map(\.key)).union(Self.reserved)
        for (key, value) in entry.metadata {
            var free = key
            while taken.contains(free) || free.hasPrefix("logging.googleapis.com/") { free = "_" + free }
            taken.insert(free)
            members.append((free, Self.json(value)))
        }
        return JSONValue.object(JSONObject(members)).description
    }

    /// The members with which every line starts.
    static func head(_ level: Logger.Level, _ message: String, _ time: Timestamp) -> [(key: String, value: JSONValue)] {
        [
            ("severity", .string(severity(of: level))), ("message", .string(message)),
            ("time", .string(time.description)),
        ]
    }

    // Cloud Logging takes these members out of the payload and interprets them.
    private static let reserved: Set<String> = [
        "severity", "message", "time", "timestamp", "timestampSeconds", "timestampNanos", "httpRequest", "stack_trace",
    ]

    private static func severity(of level: Logger.Level) -> String {
        switch level {
        case .trace, .debug: "DEBUG"
        case .info: "INFO"
        case .notice: "NOTICE"
        case .warning: "WARNING"
        case .error: "ERROR"
        case .critical: "CRITICAL"
        }
    }

    private static func json(_ value: Logger.MetadataValue) -> JSONValue {
        switch value {
        case .string(let text): .string(text)
        case .stringConvertible(let value as Int): .integer(value)
        case .stringConvertible(let value as Bool): .bool(value)
        case .stringConvertible(let value): .string(value.description)
        case .array(let values): .array(values.map(json))
        case .dictionary(let members):
            .object(JSONObject(members.sorted { $0.key < $1.key }.map { ($0.key, json($0.value)) }))
        }
    }
}

/// Log entries for people: `00:05:00 WARNING message key=value`, in UTC.
struct TextLayout: Sendable {
    let hasColors: Bool

    func line(for entry: LogEntry) -> String {
        let clock = entry.time.description.dropFirst(11).prefix(8)
        let level = entry.level.rawValue.uppercased()
        let column = level + String(repeating: " ", count: max(0, 7 - level.count))
        let fields = entry.metadata.map { " \(printable($0.key))=\(Self.text($0.value))" }.joined()
        let color = hasColors ? Self.color(of: entry.level) : nil
        let shown = color.map { "\u{1B}[\($0)m\(column)\u{1B}[0m" } ?? column
        return "\(clock) \(shown) \(printable(entry.message))\(fields)"
    }

    private static func text(_ value: Logger.MetadataValue) -> String {
        let text = value.description
        let isPlain = !text.isEmpty && !text.contains { $0 == " " || $0 == "\"" || $0 == "=" }
        return isPlain ? printable(text) : "\"" + printable(text, escapingQuotes: true) + "\""
    }

    private static func color(of level: Logger.Level) -> Int? {
        switch level {
        case .trace, .debug: 90
        case .info: nil
        case .notice: 36
        case .warning: 33
        case .error, .critical: 31
        }
    }
}
