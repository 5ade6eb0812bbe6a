package import JobRuntime

/// How long after its start a run that has not ended counts as crashed.
package struct StaleAge: Sendable {
    package let minutes: Int

    package var duration: Duration { .seconds(60 * minutes) }

    package static let environmentHelp: [(name: String, text: String)] = [
        ("STALE_AFTER_MINUTES", "A run PENDING or RUNNING for longer than this counts as crashed. Default: 60.")
    ]

    package init(minutes: Int) {
        self.minutes = minutes
    }

    package init(reading environment: inout EnvironmentReader) {
        minutes = environment.integer("STALE_AFTER_MINUTES", default: 60, in: 1...44_640)
    }
}
