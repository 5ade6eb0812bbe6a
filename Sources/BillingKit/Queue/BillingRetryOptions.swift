package import ArgumentParser
import JobRuntime

/// The flags of `billing-sync-retry`.
package struct BillingRetryOptions: ParsableArguments, Sendable {
    @Option(help: "The most queued syncs to claim in one run.")
    package var limit = 100

    @Flag(help: "Print how the queue stands, and do nothing else.")
    package var stats = false

    @Option(
        help: .init("Put a failed sync back into the queue, or all of them, and do nothing else.", valueName: "ID|all"))
    package var requeue: String?

    package init() {}

    package func validate() throws {
        guard (1...1000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000.") }
        guard !stats || requeue == nil else {
            throw ValidationError("--stats and --requeue exclude each other; give one of them.")
        }
        if let requeue, requeue.isEmpty || requeue.utf8.count > 255 {
            throw ValidationError("--requeue \(quoted(requeue)) is no id of a sync; give one, or all.")
        }
    }
}
