package import FoundationEssentials
package import HTTPTransport
package import JobRuntime

/// Google's Application Default Credentials: where a program looks for an identity when it is given none.
///
/// The order is Google's own: the file named by `GOOGLE_APPLICATION_CREDENTIALS`, then gcloud's file, then the metadata
/// server. <https://cloud.google.com/docs/authentication/application-default-credentials>
package struct ApplicationDefaultCredentials: AccessTokenSource {
    private let source: any AccessTokenSource
    /// The project that is billed for the requests, for the `x-goog-user-project` header: `GOOGLE_CLOUD_QUOTA_PROJECT`,
    /// else the file's `quota_project_id`.
    package let quotaProject: String?

    package var origin: String { source.origin }

    init(source: any AccessTokenSource, quotaProject: String?) {
        self.source = source
        self.quotaProject = quotaProject
    }

    package func fetchToken() async throws -> AccessToken {
        try await source.fetchToken()
    }

    /// Reads and checks the credential file, if there is one, and sends nothing. Throws ``CredentialsError``.
    ///
    /// `readFile` gives `nil` for a file that does not exist.
    package static func find(
        environment: [String: String], transport: any HTTPTransport, now: @escaping @Sendable () -> Timestamp,
        time: TimeSource = .system,
        readFile: @escaping @Sendable (String) throws -> Data? = FileBytes.read
    ) throws -> ApplicationDefaultCredentials {
        let exchange = TokenExchange(transport: transport, now: now, time: time)
        return try CredentialSearch(environment: environment, exchange: exchange, readFile: readFile).find()
    }
}
