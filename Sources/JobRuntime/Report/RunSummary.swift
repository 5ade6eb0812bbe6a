import Logging

/// The outcome of a run. It is the last line on standard output, in the form of a log entry.
struct RunSummary {
    enum Status: String {
        case succeeded, failed, skipped, stopped
    }

    let job: String
    let task: CloudRunTask
    let isDryRun: Bool
    /// The instant that the run stood for.
    let now: Timestamp
    let startedAt: Timestamp
    let finishedAt: Timestamp
    let duration: Duration
    /// The reason for a stop before the end of the work; `nil` if the run was not stopped.
    let stopReason: String?
    let record: RunRecord

    var status: Status {
        if stopReason != nil { return .stopped }
        if record.failures.count > 0 { return .failed }
        return record.skipReason == nil ? .succeeded : .skipped
    }

    /// The outcome as a sentence: `org-sync-all succeeded in 1.2 s: 100 organizations, 3 columns added`.
    /// In a dry run: `3 columns would be added`.
    var sentence: String {
        var text = job + (isDryRun ? " (dry run) " : " ") + status.rawValue
        text += (status == .succeeded ? " in " : " after ") + spoken(duration)
        if let reason = stopReason ?? (status == .skipped ? record.skipReason : nil) { text += ", \(reason)" }
        text += Self.sentence("failures", record.failures) + Self.sentence("warnings", record.warnings)
        let counts = record.counts.filter { $0.value != 0 }.map { spoken($0.value, $0.name, isDryRun: isDryRun) }
        return counts.isEmpty ? text : text + ": " + counts.joined(separator: ", ")
    }

    func json(withDetails: Bool) -> String {
        var members = CloudLoggingLayout.head(level, sentence, finishedAt)
        members += [
            ("job", .string(job)), ("version", .string(serviceVersion)), ("status", .string(status.rawValue)),
            ("reason", Self.optional(stopReason ?? record.skipReason)), ("dry_run", .bool(isDryRun)),
            ("counts", .object(JSONObject(record.counts.map { ($0.name, .integer($0.value)) }))),
            ("failure_count", .integer(record.failures.count)),
        ]
        members += Self.members("failures", record.failures) + Self.members("warnings", record.warnings)
        members += [
            ("now", .string(now.description)), ("started_at", .string(startedAt.description)),
            ("duration_ms", .integer(duration.wholeMilliseconds)), ("requests", .integer(record.requests)),
            ("execution", Self.optional(task.execution)),
            ("task_index", .integer(task.index)), ("task_count", .integer(task.count)),
            ("attempt", .integer(task.attempt)),
        ]
        members += CloudLoggingLayout(job: job, task: task).origin
        let details = record.details.filter { withDetails || record.shownDetails.contains($0.key) }
        if !details.isEmpty { members.append(("details", .object(JSONObject(details)))) }
        return JSONValue.object(JSONObject(members)).description
    }

    private var level: Logger.Level {
        switch status {
        case .failed: .error
        case .stopped: .warning
        case .succeeded, .skipped: record.warnings.count > 0 ? .warning : .info
        }
    }

    private static func sentence(_ noun: String, _ findings: RunRecord.Findings) -> String {
        guard findings.count > 0 else { return "" }
        let named = findings.kept.prefix(5).map(\.subject)
        let more = findings.count > named.count ? " and \(findings.count - named.count) more" : ""
        return ", \(spoken(findings.count, noun)) (\(named.joined(separator: ", "))\(more))"
    }

    static func members(_ key: String, _ findings: RunRecord.Findings) -> [(key: String, value: JSONValue)] {
        let kept = findings.kept.map {
            JSONValue.object([("subject", .string($0.subject)), ("reason", .string($0.reason))])
        }
        return [(key, .array(kept)), ("\(key)_omitted", .integer(findings.omitted))]
    }

    private static func optional(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
}
