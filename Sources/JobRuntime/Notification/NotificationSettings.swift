/// Whom to tell about a run that changed something: the API service, when both variables are set.
package struct NotificationSettings: JobSettings {
    package struct Target: Sendable {
        package let url: String
        package let key: Secret
    }

    /// `nil` where nobody is told.
    package let target: Target?

    package static let environmentHelp: [(name: String, text: String)] = [
        ("API_SERVICE_URL", "Is sent the summary of a run that changed something, by POST. Needs CA_ROOT_API_KEY."),
        ("CA_ROOT_API_KEY", "Sent with it as X-CA-Root-Key. Without API_SERVICE_URL nobody is told."),
    ]

    package init(reading environment: inout EnvironmentReader) {
        let expected = "the URL that takes the summary, with https (http for this machine only)"
        let url = environment.optionalString("API_SERVICE_URL", expected: expected, check: problemOfSecureURL)
        let key = environment.secret("CA_ROOT_API_KEY")
        if url != nil, key == nil, !environment.hasProblem(with: ["CA_ROOT_API_KEY"]) {
            environment.note(
                "CA_ROOT_API_KEY", problem: "is not set, though API_SERVICE_URL is",
                expected: "the key that the service takes, or unset API_SERVICE_URL")
        }
        target = url.flatMap { url in key.map { Target(url: url, key: $0) } }
    }
}

/// The settings of a job that tells the API service what it changed.
package protocol NotificationUser: JobSettings {
    var notification: NotificationSettings { get }
}
