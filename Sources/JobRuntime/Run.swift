package import HTTPTransport
package import Logging
import Synchronization

/// One run of a job: its request, its report and its closings.
///
/// Code that opens something for the run registers the closing with ``onClose(_:_:)``. The runtime performs the closings
/// after the work, also if the work failed or was stopped.
package struct Run: Sendable {
    /// The job's name.
    package let job: String
    /// Whether the job must hold a lease while it works. A dry run needs no lease.
    package let isExclusive: Bool
    /// Whether `--dry-run` was given. The job then reads, plans and prints, and writes nothing.
    package let isDryRun: Bool
    /// The instant that the run stands for: its start, or the value of `--date` or `--now`.
    package let now: Timestamp
    package let report: RunReport
    package let logger: Logger
    package let task: CloudRunTask
    /// The time after which the run stops; `nil` if the run has no deadline.
    package let deadline: Duration?
    /// The time after which the lease of an exclusive job expires if it is not released.
    package let leaseValidity: Duration
    let certificateAuthorityFile: String?
    /// How the time of the run was given.
    package var timeSource = RunTime.present
    let closings = Closings()

    /// The time of the clock, for all that depends on it and not on the day: what is running now, and stamps. `--now` sets it,
    /// so that the run is as it would be at that instant. `--date` names a day and leaves the clock alone: a day gone by is
    /// worked on as of now.
    package var clock: Timestamp {
        switch timeSource {
        case .present: Timestamp.wallClock()
        case .day: max(now, Timestamp.wallClock())
        case .instant: now
        }
    }

    /// Ends the run as wrongly configured if there is an objection, unless the operator insists. A dry run does no harm and
    /// goes on.
    package func requireForce(_ isForced: Bool, because objection: String?) throws {
        guard let objection, !isForced, !isDryRun else { return }
        throw ConfigurationError("\(objection): add --force if that is meant")
    }

    /// Creates a transport with the run's settings, and with a thread and connections of its own. The summary counts its requests.
    package func transport() -> any HTTPTransport {
        var configuration = CurlTransport.Configuration()
        configuration.userAgent = "scheduler-jobs/\(serviceVersion) (gzip)"
        configuration.certificateAuthorityFile = certificateAuthorityFile
        configuration.onRequest = { [report] in report.record.withLock { $0.requests += 1 } }
        return Machine.current.transport(configuration)
    }

    /// Registers a closing, which runs after the work, whatever the outcome.
    ///
    /// - Parameters:
    ///   - step: The place of the closing. Closings happen in the order of ``ClosingStep``, whatever the order of registration.
    ///   - close: The closing. It is not canceled when the run is stopped, but must end within its part of the ``StopBudget``.
    package func onClose(_ step: ClosingStep, _ close: @escaping @Sendable (RunReport.Outcome) async -> Void) {
        closings.registered.withLock { $0.append((step, close)) }
    }
}

/// How the time of a run was given: not at all, by `--date` or by `--now`.
package enum RunTime: Sendable {
    case present, day, instant
}

/// The closings after the work of a run, in their order.
package enum ClosingStep: Int, Sendable, CaseIterable {
    /// The lease is released first, because other executions wait for it. A lost lease is a failure of the run.
    case lease
    /// The run's row is written when its outcome is known.
    case history
    /// The API service is notified last, when everything else is in the warehouse.
    case notification
}

/// There was nothing to do. The run ends as `skipped`, with exit code 0 and this reason in its summary.
package struct RunSkipped: Error, Sendable {
    package let reason: String

    package init(_ reason: String) {
        self.reason = reason
    }
}

/// An error with the operation that failed. The summary names the operation as the subject of the failure.
package protocol FailedOperation: Error, Sendable {
    /// The operation in words, such as `list the active organizations`.
    var operation: String { get }
    /// The reason for the failure, without the operation.
    var reason: String { get }
}

/// A failure that ends the run and has no error of a library behind it.
package struct RunFailure: FailedOperation, CustomStringConvertible {
    package let operation: String
    package let reason: String

    package init(operation: String, reason: String) {
        self.operation = operation
        self.reason = reason
    }

    package var description: String { "\(operation): \(reason)" }
}

/// The closings of one run.
final class Closings: Sendable {
    typealias Closing = @Sendable (RunReport.Outcome) async -> Void

    let registered = Mutex<[(step: ClosingStep, close: Closing)]>([])

    func contains(_ step: ClosingStep) -> Bool {
        registered.withLock { $0.contains { $0.step == step } }
    }

    /// Closes in order. Each closing sees the outcome as it is after the closings before it.
    func close(outcome: @Sendable () -> RunReport.Outcome) async {
        let inOrder = registered.withLock { $0.sorted { $0.step.rawValue < $1.step.rawValue } }
        for closing in inOrder { await closing.close(outcome()) }
    }
}
