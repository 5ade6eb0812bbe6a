package import FoundationEssentials
package import HTTPTransport
package import JobRuntime

/// Finds Google's Application Default Credentials: the places where a program looks for its identity.
///
/// The order is Google's own: the file that `GOOGLE_APPLICATION_CREDENTIALS` names, then gcloud's file, then the
/// metadata server. <https://cloud.google.com/docs/authentication/application-default-credentials>
///
/// ```swift
/// let credentials = try ApplicationDefaultCredentials.find(
///     environment: environment, transport: CurlTransport(), now: Timestamp.wallClock)
/// let token = CachedAccessToken(source: credentials, now: Timestamp.wallClock)
/// request.headers["Authorization"] = "Bearer \(try await token.token())"
/// ```
package struct ApplicationDefaultCredentials: AccessTokenSource {
    private let source: any AccessTokenSource
    /// The project that is billed for the requests, for the `x-goog-user-project` header. `GOOGLE_CLOUD_QUOTA_PROJECT`
    /// takes precedence over the file's `quota_project_id`.
    package let quotaProject: String?

    package var origin: String { source.origin }

    init(source: any AccessTokenSource, quotaProject: String?) {
        self.source = source
        self.quotaProject = quotaProject
    }

    package func fetchToken() async throws -> AccessToken {
        try await source.fetchToken()
    }

    /// Reads and checks the credential file, if there is one, without sending any request. Throws ``CredentialsError``.
    ///
    /// `readFile` returns `nil` for a file that does not exist.
    package static func find(
        environment: [String: String], transport: any HTTPTransport, now: @escaping @Sendable () -> Timestamp,
        time: TimeSource = .system,
        readFile: @escaping @Sendable (String) throws -> Data? = FileBytes.read
    ) throws -> ApplicationDefaultCredentials {
        let exchange = TokenExchange(transport: transport, now: now, time: time)
        return try CredentialSearch(environment: environment, exchange: exchange, readFile: readFile).find()
    }
}

/// Searches the places of Application Default Credentials in their order.
struct CredentialSearch {
    static let scope = "https://www.googleapis.com/auth/bigquery"
    private static let operation = "looking for Google credentials"
    private static let variable = "GOOGLE_APPLICATION_CREDENTIALS"

    let environment: [String: String]
    let exchange: TokenExchange
    let readFile: @Sendable (String) throws -> Data?

    func find() throws -> ApplicationDefaultCredentials {
        if let path = value(of: Self.variable) {
            guard Self.isPath(path) else {
                throw CredentialsError(
                    .unreadableFile, operation: Self.operation,
                    message: "\(Self.variable) must be the path of a credential file, not its content")
            }
            let operation = CredentialFile.operation(path) + " (\(Self.variable))"
            return try credentials(in: path, try Self.content(of: path, readFile: readFile, operation: operation))
        }
        if let path = gcloudFile, let content = try gcloudContent(of: path) {
            return try credentials(in: path, content)
        }
        if environment["NO_GCE_CHECK"]?.lowercased() == "true" {
            throw Self.nothingFound("NO_GCE_CHECK forbids to ask a metadata server")
        }
        let source = try MetadataServerToken(environment: environment, scope: Self.scope, exchange: exchange)
        return ApplicationDefaultCredentials(source: source, quotaProject: try quotaProject(nil))
    }

    static func nothingFound(_ reason: String) -> CredentialsError {
        CredentialsError(
            .notFound, operation: operation,
            message: "\(variable) is not set, gcloud has stored none, and there is no metadata server: \(reason); "
                + "set \(variable) to a key file, or run `gcloud auth application-default login`")
    }

    /// Returns the bytes of a file that must exist.
    static func content(of path: String, readFile: (String) throws -> Data?, operation: String) throws -> Data {
        do {
            if let content = try readFile(path) { return content }
            throw CredentialsError(.unreadableFile, operation: operation, message: "there is no such file")
        } catch let failure as FileBytes.Failure {
            throw CredentialsError(.unreadableFile, operation: operation, message: failure.reason)
        }
    }

    private var gcloudFile: String? {
        guard let folder = value(of: "CLOUDSDK_CONFIG") ?? value(of: "HOME").map({ "\($0)/.config/gcloud" }) else {
            return nil
        }
        return "\(folder)/application_default_credentials.json"
    }

    private func gcloudContent(of path: String) throws -> Data? {
        do {
            return try readFile(path)
        } catch let failure as FileBytes.Failure {
            throw CredentialsError(
                .unreadableFile, operation: CredentialFile.operation(path), message: failure.reason)
        }
    }

    private func credentials(in path: String, _ content: Data) throws -> ApplicationDefaultCredentials {
        let file = try CredentialFile(path: path, content: content)
        let kinds = CredentialKinds(exchange: exchange, readFile: readFile)
        return ApplicationDefaultCredentials(
            source: try kinds.source(in: file, scope: Self.scope), quotaProject: try quotaProject(file))
    }

    private func quotaProject(_ file: CredentialFile?) throws -> String? {
        if let project = value(of: "GOOGLE_CLOUD_QUOTA_PROJECT") {
            guard CredentialKinds.isProject(project) else {
                throw CredentialsError(
                    .notFound, operation: Self.operation, message: "GOOGLE_CLOUD_QUOTA_PROJECT is not a project id")
            }
            return project
        }
        return try file.flatMap(CredentialKinds.quotaProject)
    }

    private func value(of name: String) -> String? {
        environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Distinguishes a path from a key that was put into the variable by mistake. Such a key must not be shown.
    private static func isPath(_ text: String) -> Bool {
        text.utf8.count <= 1024 && !text.contains("{") && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
    }
}

/// The reason why there is no access token. The error never contains a token, a key, or anything else from a credential
/// file, except email addresses of service accounts, host names, and paths.
package struct CredentialsError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// No variable, gcloud file, or metadata server provides credentials.
        case notFound
        /// A file that is named but is missing or cannot be read.
        case unreadableFile
        case invalidFile
        /// A kind of credentials that exists but that this service does not support.
        case notSupported
        /// The server understood the request and refused it, as with `invalid_grant`.
        case refused
        /// The server did not answer, or it answered that the client should retry later.
        case unavailable
        /// The server did not answer, for a reason that does not go away by itself, such as an untrusted certificate.
        case transportFailed
        /// The server's answer has no usable token.
        case invalidResponse
    }

    package var code: Code
    /// The operation that failed, in words.
    package var operation: String
    /// The reason, with the server's own message if there is one.
    package var message: String

    package init(_ code: Code, operation: String, message: String) {
        self.code = code
        self.operation = operation
        self.message = message
    }

    /// Whether the same attempt may succeed later. When this error is thrown, the retries of a fetch are already used
    /// up.
    package var isRetryable: Bool { code == .unavailable }

    package var description: String { "\(operation): \(message)" }
}
