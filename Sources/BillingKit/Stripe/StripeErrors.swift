import FoundationEssentials
import HTTPTransport
import JobRuntime

/// Reads Stripe's errors: https://docs.stripe.com/api/errors
enum StripeErrors {
    /// The error of a response that is not 2xx. The body may be anything, or nothing.
    static func error(
        in response: HTTPResponse, operation: String, resource: StripeResource, key: Secret
    ) -> StripeError {
        let said = (try? JSONDecoder().decode(Envelope.self, from: response.body))?.error?.message
        let message = said.map { withoutKeys($0, key) } ?? "HTTP status \(response.status)"
        var error = StripeError(code(of: response.status), operation: operation, message: message)
        switch error.code {
        case .unauthenticated:
            error.message = "Stripe does not accept STRIPE_SECRET_KEY: \(message)"
        case .forbidden:
            error.message = "STRIPE_SECRET_KEY lacks the permission \(resource.permissions): \(message)"
        default: break
        }
        error.requestID = response.headers["request-id"].map { printable($0.prefix(100)) }
        error.isRetryable = isRetryable(response)
        // One that is longer than the budget of all retries ends them.
        if let seconds = response.headers["Retry-After"].flatMap({ Int64($0) }), (0...3600).contains(seconds) {
            error.retryAfter = .seconds(seconds)
        }
        return error
    }

    private static func code(of status: Int) -> StripeError.Code {
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

    /// The message on one line, with every word in it that is, or looks like, a key replaced: Stripe quotes the key, partly.
    static func withoutKeys(_ message: String, _ key: Secret) -> String {
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
