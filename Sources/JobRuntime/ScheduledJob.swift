package import ArgumentParser

/// A job of the service: one executable, one run, one outcome.
///
/// A conforming type marked `@main` is a whole program. Configuration, logging, signals, the deadline, the summary
/// line and the exit code are the runtime's; the job only does its work and reports what it did.
package protocol ScheduledJob: SendableMetatype {
    /// The job's own flags, added to those that every job has.
    associatedtype Options: ParsableArguments & Sendable = NoOptions
    /// What the job reads from the environment.
    associatedtype Settings: JobSettings

    /// The name in `jobs.yaml`, in logs and in the summary, such as `org-sync-all`.
    static var name: String { get }
    /// One sentence: the first line of `--help`.
    static var purpose: String { get }
    /// For `--help`: what the job does, what a second run does, examples. Lines are kept as they are.
    static var discussion: String { get }

    /// Does the work. What is thrown ends the run as failed, a `CancellationError` after a stop signal as stopped.
    /// Work that notices its cancellation throws; returning says that all is done.
    /// A failure that concerns one item goes to `context.report.fail` instead, and the batch goes on.
    static func run(in context: JobContext<Self>) async throws
}

extension ScheduledJob {
    package static var discussion: String { "" }

    /// Runs the job as a process and never returns.
    package static func main() async {
        let surroundings = ProcessSurroundings.current
        surroundings.exit(await JobProcess<Self>(surroundings).run())
    }
}
