import FoundationEssentials
import HTTPTransport
import JobRuntime

/// What went wrong between a job and Stripe. The description never shows the key, not even where Stripe's own message does.
///
/// These jobs only read from Stripe, so a request that failed has changed nothing, whatever the error.
package struct StripeError: FailedOperation, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The key is not one of the account's, or was revoked.
        case unauthenticated
        /// The key lacks a permission.
        case forbidden
        case notFound, rateLimited, invalid, serverError, transport, unexpectedReply
    }

    package var code: Code
    /// What was attempted, in words: "list subscriptions".
    package var operation: String
    package var message: String
    /// Stripe's `request-id`, under which its dashboard has the request.
    package var requestID: String?
    package var isRetryable = false
    /// How long Stripe asks to wait. A wait that does not fit into the budget of the retries ends them.
    package var retryAfter: Duration?

    package init(_ code: Code, operation: String, message: String) {
        self.code = code
        self.operation = operation
        self.message = message
    }

    /// The next request would fail in the same way, so the run stops here.
    package var endsRun: Bool { code == .unauthenticated || code == .forbidden }

    package var reason: String {
        let id = requestID.map { ", request \($0)" } ?? ""
        return "\(message) (\(code.rawValue)\(id))"
    }

    package var description: String { "could not \(operation): \(reason)" }
}

/// A kind of object that is read, by the name that Stripe's dashboard gives to a restricted key's permission.
enum StripeResource: String, Sendable {
    case subscriptions = "Subscriptions"
    case products = "Products"
    case prices = "Prices"

    /// The permission that the key needs: subscriptions are read with their customers.
    var permissions: String {
        self == .subscriptions ? "\"\(rawValue): Read\" or \"Customers: Read\"" : "\"\(rawValue): Read\""
    }
}

extension StripeError {
    /// The error of a response that is not 2xx: https://docs.stripe.com/api/errors. The body may be anything, or nothing.
    init(_ response: HTTPResponse, operation: String, resource: StripeResource, key: Secret, now: Date) {
        let body = try? JSONDecoder().decode(Envelope.self, from: response.body)
        let message = body?.error?.message.map { Self.withoutKeys($0, key) } ?? "HTTP status \(response.status)"
        let code = Self.code(of: response.status)
        let text =
            switch code {
            case .unauthenticated: "Stripe does not accept STRIPE_SECRET_KEY: \(message)"
            case .forbidden: "STRIPE_SECRET_KEY lacks the permission \(resource.permissions): \(message)"
            default: message
            }
        self.init(code, operation: operation, message: text)
        requestID = response.requestID
        isRetryable = Self.isRetryable(response)
        retryAfter = response.retryAfter(now: now)
    }

    private static func code(of status: Int) -> Code {
        switch status {
        case 401: .unauthenticated
        case 403: .forbidden
        case 404: .notFound
        case 429: .rateLimited
        case 400..<500: .invalid
        case 500..<600: .serverError
        default: .unexpectedReply
        }
    }

    /// `Stripe-Should-Retry` overrides everything. 409 is a conflict with another request, which passes.
    private static func isRetryable(_ response: HTTPResponse) -> Bool {
        switch response.headers["Stripe-Should-Retry"]?.lowercased() {
        case "true": true
        case "false": false
        default: response.status == 409 || response.status == 429 || response.status >= 500
        }
    }

    /// The message on one line, with every word replaced that is, or looks like, a key: Stripe quotes a part of the key.
    private static func withoutKeys(_ message: String, _ key: Secret) -> String {
        var text = printable(message.prefix(500))
        if !key.value.isEmpty {
            text = text.split(separator: key.value, omittingEmptySubsequences: false).joined(separator: "***")
        }
        let words = text.split(separator: " ", omittingEmptySubsequences: false).map { word in
            ["sk_", "rk_", "pk_"].contains { word.contains($0 + "test") || word.contains($0 + "live") } ? "***" : word
        }
        return words.joined(separator: " ")
    }

    private struct Envelope: Decodable {
        struct Body: Decodable {
            var message: String?
        }

        var error: Body?
    }
}
