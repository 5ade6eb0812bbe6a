import Logging

/// A log message with everything that a layout shows.
struct LogEntry {
    var time: Timestamp
    var level: Logger.Level
    var message: String
    /// Sorted by key.
    var metadata: [(key: String, value: Logger.MetadataValue)] = []
}
