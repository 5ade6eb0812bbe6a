package import ArgumentParser
import CMalloc

/// A job of the service: one executable, one run, one outcome.
///
/// A conforming type marked `@main` is a whole program, and its file shows all of it: its name, its settings and its work.
/// The runtime handles configuration, logging, signals, the deadline, the lease, the summary line and the exit code.
///
/// ```swift
/// @main
/// struct InvoiceExportJob: ScheduledJob {
///     static let name = "invoice-export"
///     static let purpose = "Exports the invoices of the last month."
///     static let isExclusive = true
///
///     struct Settings: JobSettings {
///         let warehouse: WarehouseSettings
///         let limit: Int
///
///         init(reading environment: inout EnvironmentReader) {
///             warehouse = WarehouseSettings(reading: &environment)
///             limit = environment.integer("INVOICE_LIMIT", default: 100, in: 1...10_000, help: "Invoices for each run.")
///         }
///     }
///
///     let options: NoOptions
///     let settings: Settings
///
///     func run(_ run: Run) async throws {
///         let warehouse = try await run.openWarehouse(settings.warehouse)
///         try await InvoiceExport(warehouse: warehouse.sql, report: run.report).export(before: run.now)
///     }
/// }
/// ```
package protocol ScheduledJob: Sendable {
    /// The job's own flags, added to those that every job has.
    associatedtype Options: ParsableArguments & Sendable
    /// The settings that the job reads from the environment.
    associatedtype Settings: JobSettings

    /// The name in `jobs.yaml`, in logs and in the summary, such as `org-sync-all`.
    static var name: String { get }
    /// One sentence: the first line of `--help`, and the purpose in `jobs.yaml`.
    static var purpose: String { get }
    /// The text of `--help`: the work, the effect of a second run, examples. Lines are kept as they are.
    static var discussion: String { get }
    /// Whether two executions of the job must not work at the same time. An exclusive job holds a lease while it works. A
    /// run that works without one fails.
    static var isExclusive: Bool { get }
    /// The schedules with which the job can do its work, if not any schedule will do.
    static func scheduleNeed(_ settings: Settings) -> ScheduleNeed?
    /// Whether these options ask for a run that writes nothing, as `--dry-run` does.
    static func isDryRun(_ options: Options) -> Bool

    init(options: Options, settings: Settings)

    /// Does the work. Returning means that all of it is done.
    ///
    /// A failure that concerns one item goes to `run.report.fail`, and the batch goes on.
    /// - Throws: ``RunSkipped`` if there is nothing to do, `CancellationError` if the work notices its cancellation. Any
    ///   other error ends the run as failed.
    func run(_ run: Run) async throws
}

extension ScheduledJob {
    package static func scheduleNeed(_ settings: Settings) -> ScheduleNeed? { nil }

    package static func isDryRun(_ options: Options) -> Bool { false }

    /// Runs the job as a process and never returns. It begins on the main thread, before there is another one.
    @MainActor package static func main() async {
        // One heap for all threads. With a heap for each, glibc keeps what one thread has allocated and another one has freed:
        // 5 MB in billing-sync-reconcile. https://sourceware.org/glibc/wiki/MallocInternals
        mallopt(M_ARENA_MAX, 1)
        let surroundings = ProcessSurroundings.current
        surroundings.exit(await JobProcess<Self>(surroundings).run())
    }

    /// Runs the job as ``main()`` does, in surroundings that the caller provides.
    package static func run(in surroundings: ProcessSurroundings) async -> JobExitCode {
        await JobProcess<Self>(surroundings).run()
    }
}

/// The options of a job without options of its own.
package struct NoOptions: ParsableArguments, Sendable {
    package init() {}
}

/// What the schedule of a job must be like. With any other one the job could never do its work, or not all of it.
///
/// `generate-jobs` refuses a job of `jobs.yaml` whose schedule, in its time zone, does not meet the need.
package struct ScheduleNeed: Sendable, Hashable {
    package enum Rule: Sendable, Hashable {
        /// A run begins in the first twelve hours of every UTC day.
        case everyDay
        /// A run begins on the first of every month, in UTC.
        case firstOfEveryMonth
        /// No more than so much time passes between two runs.
        case pause(atMost: Duration)
    }

    package let rule: Rule
    /// Continues the sentence "... because".
    package let reason: String

    package init(_ rule: Rule, because reason: String) {
        self.rule = rule
        self.reason = reason
    }
}

/// The exit codes of every job.
package enum JobExitCode: Int32, Sendable, CaseIterable {
    /// The work is done, or there was nothing to do. The summary has the status `succeeded` or `skipped`.
    case success = 0
    /// Some or all of the work failed. The summary names the failures.
    case failure = 1
    /// The command line is wrong (EX_USAGE). Nothing was done.
    case usage = 64
    /// A signal or the deadline stopped the run (EX_TEMPFAIL). Finished work stays; the next run does the rest.
    case stopped = 75
    /// The configuration is wrong (EX_CONFIG). Running again does not help.
    case configuration = 78

    var meaning: String {
        switch self {
        case .success: "Done, or nothing to do."
        case .failure: "Some or all of the work failed; the summary names the failures."
        case .usage: "Wrong command line."
        case .stopped: "Stopped by SIGTERM, SIGINT or the deadline; run again for the rest."
        case .configuration: "Wrong configuration; one message names all problems."
        }
    }
}

/// The version that every job prints with `--version` and puts into its summary.
package let serviceVersion = "0.1.0"
