/// The exit codes of every job.
package enum JobExitCode: Int32, Sendable {
    /// The work is done, or there was none to do (a summary with status `succeeded` or `skipped`).
    case success = 0
    /// Some or all of the work failed; the summary names what.
    case failure = 1
    /// The command line is wrong (EX_USAGE). Nothing was done.
    case usage = 64
    /// Stopped by a signal or the deadline (EX_TEMPFAIL). What was done stays, the next run does the rest.
    case stopped = 75
    /// The configuration is wrong (EX_CONFIG). Running again without a change would fail again.
    case configuration = 78
}
