import Logging

/// Log entries as Cloud Logging reads them from a container's output: one JSON object a line.
/// https://docs.cloud.google.com/logging/docs/structured-logging
struct CloudLoggingLayout: Sendable {
    /// The members that tell which job, execution and task a line comes from; the summary carries them too.
    let origin: [(key: String, value: JSONText)]

    init(job: String, task: CloudRunTask) {
        var labels = [(key: "job", value: JSONText.string(job))]
        if let execution = task.execution { labels.append(("execution", .string(execution))) }
        labels.append(("task_index", .string(String(task.index))))
        labels.append(("attempt", .string(String(task.attempt))))
        var origin = [(key: "logging.googleapis.com/labels", value: JSONText.object(labels))]
        if let execution = task.execution {
            let operation = [(key: "id", value: JSONText.string(execution)), (key: "producer", value: .string(job))]
            origin.append(("logging.googleapis.com/operation", .object(operation)))
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
        return JSONText.object(members).description
    }

    /// The members with which every line starts.
    static func head(_ level: Logger.Level, _ message: String, _ time: Timestamp) -> [(key: String, value: JSONText)] {
        [
            ("severity", .string(severity(of: level))), ("message", .string(message)),
            ("time", .string(time.description)),
        ]
    }

    // Members that Cloud Logging takes out of the payload and gives a meaning.
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

    private static func json(_ value: Logger.MetadataValue) -> JSONText {
        switch value {
        case .string(let text): .string(text)
        case .stringConvertible(let value as Int): .integer(value)
        case .stringConvertible(let value as Bool): .bool(value)
        case .stringConvertible(let value): .string(value.description)
        case .array(let values): .array(values.map(json))
        case .dictionary(let members): .object(members.sorted { $0.key < $1.key }.map { ($0.key, json($0.value)) })
        }
    }
}
