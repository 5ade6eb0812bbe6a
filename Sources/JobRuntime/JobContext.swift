package import HTTPTransport
package import Logging

/// What one run of a job is given.
package struct JobContext<Job: ScheduledJob>: Sendable {
    package let options: Job.Options
    package let settings: Job.Settings
    /// With `--dry-run`: the job reads, plans and prints, and writes nothing.
    package let isDryRun: Bool
    /// The instant that the run stands for, taken once at the start; `--date` and `--now` override it.
    package let now: Timestamp
    package let report: RunReport
    package let logger: Logger
    package let task: CloudRunTask
    /// After that long the run stops; `nil` where it may take as long as it takes.
    package let deadline: Duration?
    let certificateAuthorityFile: String?

    /// A transport of its own thread and connections, with the run's settings.
    package func transport() -> CurlTransport {
        var configuration = CurlTransport.Configuration()
        configuration.userAgent = "scheduler-jobs/\(serviceVersion) (gzip)"
        configuration.certificateAuthorityFile = certificateAuthorityFile
        return CurlTransport(configuration)
    }
}
