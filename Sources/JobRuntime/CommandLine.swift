import ArgumentParser
import Logging

/// The command line of a job: its own options and those of every job.
struct JobCommand<Job: ScheduledJob>: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: String(describing: Job.self), abstract: Job.purpose, discussion: Job.discussion,
            version: "\(Job.name) \(serviceVersion)")
    }

    @OptionGroup(title: "Options of this job") var options: Job.Options
    @OptionGroup(title: "Options of every job") var common: CommonOptions
}

/// The flags of every job.
struct CommonOptions: ParsableArguments, Sendable {
    @Flag(name: .customLong("dry-run"), help: "Print what the job would do, and write nothing.")
    var isDryRun = false

    @Flag(help: "Print only the summary on standard output, with its details, as one line of JSON.")
    var json = false

    @Option(help: .init("Run as if it were midnight UTC at the start of that day.", valueName: "YYYY-MM-DD"))
    var date: String?

    @Option(help: .init("Run as if it were that instant, such as 2026-01-31T00:05:00Z.", valueName: "RFC3339"))
    var now: String?

    @Flag(help: "Print purpose, variables, options, exit codes and access of this job as JSON, and end.")
    var describe = false

    @Option(help: "Write log messages of this level and above. Overrides LOG_LEVEL.")
    var logLevel: LogLevel?

    /// The instant of `--date` or `--now`, if one of them was given.
    var instant: Timestamp? {
        if let date { return CivilDate(date).map(Timestamp.init(startOf:)) }
        return now.flatMap { Timestamp($0) }
    }

    var timeSource: RunTime { date != nil ? .day : now != nil ? .instant : .present }

    func validate() throws {
        guard date == nil || now == nil else {
            throw ValidationError("--date and --now exclude each other; give one of them.")
        }
        if let date, instant == nil {
            throw ValidationError("--date \(quoted(date)) is not a day of the calendar; write it as 2026-01-31.")
        }
        if let now, instant == nil {
            throw ValidationError("--now \(quoted(now)) is not an instant; write it as 2026-01-31T00:05:00Z.")
        }
    }
}

/// The levels of `--log-level` and `LOG_LEVEL`.
enum LogLevel: String, CaseIterable, ExpressibleByArgument, Sendable {
    case trace, debug, info, notice, warning, error

    var level: Logger.Level {
        switch self {
        case .trace: .trace
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}
