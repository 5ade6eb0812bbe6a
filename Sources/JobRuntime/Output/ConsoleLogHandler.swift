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
