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
