package import FoundationEssentials
package import HTTPTransport
package import JobRuntime

/// Google's Application Default Credentials: the places in which a program looks for its identity.
///
/// The order is Google's own: the file named by `GOOGLE_APPLICATION_CREDENTIALS`, then gcloud's file, then the metadata
/// server. <https://cloud.google.com/docs/authentication/application-default-credentials>
///
/// ```swift
/// let credentials = try ApplicationDefaultCredentials.find(
///     environment: environment, transport: CurlTransport(), now: Timestamp.wallClock)
/// let token = CachedAccessToken(source: credentials, now: Timestamp.wallClock)
/// request.headers["Authorization"] = "Bearer \(try await token.token())"
/// ```
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

/// Searches the places of Application Default Credentials, in their order.
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

    /// The bytes of a file that has to be there.
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

    /// Tells a path from a key that was put into the variable by mistake, which must not be shown.
    private static func isPath(_ text: String) -> Bool {
        text.utf8.count <= 1024 && !text.contains("{") && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
    }
}

/// Why there is no access token. Neither a token nor a key nor anything else out of a credential file is ever in it,
/// except e-mail addresses of service accounts, host names and paths.
package struct CredentialsError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// Neither a variable nor gcloud's file nor a metadata server gives credentials.
        case notFound
        /// A file that is named, and is missing or cannot be read.
        case unreadableFile
        case invalidFile
        /// A kind of credentials that exists and that this service does not speak.
        case notSupported
        /// The server understood and said no, as with `invalid_grant`.
        case refused
        /// No answer, or one that says to try again later.
        case unavailable
        /// No answer, for a reason that does not pass by itself, such as a certificate that is not trusted.
        case transportFailed
        /// An answer without a usable token.
        case invalidResponse
    }

    package var code: Code
    /// What was being done, in words.
    package var operation: String
    /// The reason, and the server's own message where there is one.
    package var message: String

    package init(_ code: Code, operation: String, message: String) {
        self.code = code
        self.operation = operation
        self.message = message
    }

    /// Whether the same attempt may succeed later. The retries of a fetch are over when this is thrown.
    package var isRetryable: Bool { code == .unavailable }

    package var description: String { "\(operation): \(message)" }
}
