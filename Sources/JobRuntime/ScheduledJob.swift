package import ArgumentParser

/// A job of the service: one executable, one run, one outcome.
///
/// A conforming type marked `@main` is a whole program, and its file shows all of it: what it is called, what it reads, and
/// what it does. Configuration, logging, signals, the deadline, the lease, the summary line and the exit code are the
/// runtime's; the job does its work and reports what it did.
///
/// ```swift
/// @main
/// struct InvoiceExportJob: ScheduledJob {
///     static let name = "invoice-export"
///     static let purpose = "Exports the invoices of the last month."
///     static let isExclusive = true
///     static let access: [JobAccess] = [.runsQueries, .writes(.organizations), .writes(.schedulerJobs)]
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
    /// What the job reads from the environment.
    associatedtype Settings: JobSettings

    /// The name in `jobs.yaml`, in logs and in the summary, such as `org-sync-all`.
    static var name: String { get }
    /// One sentence: the first line of `--help`, and the purpose in `jobs.yaml`.
    static var purpose: String { get }
    /// For `--help`: what the job does, what a second run does, examples. Lines are kept as they are.
    static var discussion: String { get }
    /// Whether two executions of the job must not work at the same time. An exclusive job holds a lease while it works, and
    /// a run of it that took none fails.
    static var isExclusive: Bool { get }
    /// The permissions without which the job cannot do its work.
    static var access: [JobAccess] { get }

    init(options: Options, settings: Settings)

    /// Does the work. A thrown error ends the run as failed, a `CancellationError` after a stop signal as stopped, and a
    /// ``RunSkipped`` as skipped. Work that notices its cancellation throws; returning means that all of it is done.
    /// A failure that concerns one item goes to `run.report.fail` instead, and the batch goes on.
    func run(_ run: Run) async throws
}

extension ScheduledJob {
    /// Runs the job as a process and never returns.
    package static func main() async {
        let surroundings = ProcessSurroundings.current
        surroundings.exit(await JobProcess<Self>(surroundings).run())
    }
}

/// The options of a job that has none of its own.
package struct NoOptions: ParsableArguments, Sendable {
    package init() {}
}

/// Permissions that a job needs on the project or on one dataset.
///
/// `generate-jobs` refuses a job of `jobs.yaml` whose roles do not contain them.
package struct JobAccess: Sendable, Hashable {
    /// `project`, or the name of a dataset.
    package let resource: String
    /// IAM permissions, such as `bigquery.tables.getData`.
    package let permissions: [String]

    package init(on resource: String, permissions: [String]) {
        self.resource = resource
        self.permissions = permissions
    }
}

/// The exit codes of every job.
package enum JobExitCode: Int32, Sendable, CaseIterable {
    /// The work is done, or there was none to do (a summary with status `succeeded` or `skipped`).
    case success = 0
    /// Some or all of the work failed; the summary names what.
    case failure = 1
    /// The command line is wrong (EX_USAGE). Nothing was done.
    case usage = 64
    /// Stopped by a signal or the deadline (EX_TEMPFAIL). What was done stays; the next run does the rest.
    case stopped = 75
    /// The configuration is wrong (EX_CONFIG). Running again without a change would fail again.
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
