/// The signals that ask a job to stop.
enum StopSignal: String, Sendable {
    /// From Cloud Run, on cancellation, timeout and shutdown.
    case terminate = "SIGTERM"
    /// Ctrl-C.
    case interrupt = "SIGINT"
}
