package import Logging

extension Logger {
    /// For ``RetryPolicy``: one repetition is usual; when that fails, too, whoever reads the log should see why the run is
    /// slow.
    package func tryingAgain(after error: any Error, attempt: Int, delay: Duration) {
        log(
            level: attempt > 1 ? .notice : .debug,
            "trying again in \(spoken(delay)), after \(spoken(attempt, "attempts")): \(error)")
    }
}
