/// Divides the seconds between SIGTERM and the end of the process.
///
/// Cloud Run sends SIGTERM and kills the process ten seconds later (fact RUN-03). The steps below follow each other and end after eight
/// seconds.
/// https://docs.cloud.google.com/run/docs/container-contract#jobs-shutdown
package enum StopBudget {
    /// The steps of a stop, in the order in which they happen.
    package enum Step: CaseIterable, Sendable {
        /// The warehouse is asked to cancel the statements that are running.
        case cancelStatements
        /// The lease is released, or kept for as long as a statement may still be running.
        case lease
        /// The run's row is written into the run history.
        case history
        /// The summary is written to standard output.
        case summary
    }

    /// The time between SIGTERM and SIGKILL.
    static let total = Duration.seconds(10)

    /// The longest time that a step may take in a run that has to stop.
    package static func limit(of step: Step) -> Duration {
        switch step {
        case .cancelStatements: .seconds(2)
        case .lease: .seconds(2)
        case .history: .seconds(3)
        case .summary: .seconds(1)
        }
    }

    /// The time after which the summary is printed, even if the work or a closing has not ended.
    static var untilSummary: Duration {
        Step.allCases.filter { $0 != .summary }.map(limit).reduce(.zero, +)
    }
}
