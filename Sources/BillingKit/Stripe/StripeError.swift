/// What went wrong between us and Stripe. `description` never shows the key, not even where Stripe's own message does.
package struct StripeError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The key is not one of the account's, or was revoked.
        case unauthenticated
        /// The key lacks a permission.
        case forbidden
        case notFound, rateLimited, invalid, serverError, transport, unexpectedReply
    }

    package var code: Code
    package var operation: String
    package var message: String
    /// Stripe's `request-id`, under which its dashboard has the request.
    package var requestID: String?
    package var isRetryable = false
    package var retryAfter: Duration?

    package init(_ code: Code, operation: String, message: String) {
        self.code = code
        self.operation = operation
        self.message = message
    }

    /// The next request would fail in the same way, so the run stops here.
    package var endsRun: Bool { code == .unauthenticated || code == .forbidden }

    package var description: String {
        let id = requestID.map { ", request \($0)" } ?? ""
        return "could not \(operation): \(message) (\(code.rawValue)\(id))"
    }
}
