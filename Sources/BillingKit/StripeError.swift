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
        /// The key may not do that, or not from here.
        case forbidden
        /// The account does not know the version of the API.
        case version
        /// The objects are of the other mode, live or test.
        case mode
        /// The account is not the one that the warehouse mirrors.
        case account
        case notFound, rateLimited, invalid, serverError, transport, unexpectedReply
    }

    package var code: Code
    /// What was attempted, in words: "list subscriptions".
    package var operation: String
    package var message: String
    /// Stripe's `request-id`, under which its dashboard has the request.
    package var requestID: String?
    /// The kind of object that a response refused; `nil` where there was no response.
    var resource: StripeResource?
    package var isRetryable = false
    /// The object that a page was asked for by is not there (fact ST-04).
    var isOfMissingCursor = false
    /// How long Stripe asks to wait. A wait that does not fit into the budget of the retries ends them.
    package var retryAfter: Duration?

    package init(_ code: Code, operation: String, message: String) {
        self.code = code
        self.operation = operation
        self.message = message
    }

    /// The next request would fail in the same way, so the run stops here.
    package var endsRun: Bool { [.unauthenticated, .forbidden, .version, .mode, .account].contains(code) }

    /// The same error with the next thing to do. It is printed after the message.
    func withAdvice(_ advice: String) -> StripeError {
        var error = self
        error.message += " - \(advice)"
        return error
    }

    /// Stripe may be down, or have a fault with this one object.
    var mayBeOutage: Bool { [.serverError, .transport, .rateLimited, .unexpectedReply].contains(code) }

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
    case events = "Events"

    /// The permission that the key needs: subscriptions are read with their customers.
    var permissions: String {
        self == .subscriptions ? "\"\(rawValue): Read\" or \"Customers: Read\"" : "\"\(rawValue): Read\""
    }
}

extension StripeError {
    /// The objects of a reply are not of the mode of the environment.
    init(of mode: StripeMode, operation: String, requestID: String?) {
        let (expected, found) = mode == .live ? ("live", "test") : ("test", "live")
        self.init(
            .mode, operation: operation,
            message: """
                the account's objects are of \(found) mode, and ENVIRONMENT needs \(expected) mode - nothing was written; \
                use a key of \(expected) mode
                """)
        self.requestID = requestID
    }

    /// The error of a response that is not 2xx (facts ST-15 and ST-16): https://docs.stripe.com/api/errors. The body may be anything, or nothing.
    init(_ response: HTTPResponse, operation: String, resource: StripeResource, key: Secret, now: Date) {
        let body = (try? JSONReader.decode(Envelope.self, from: response.body))?.error
        let message = body?.message.map { Self.withoutKeys($0, key) } ?? "HTTP status \(response.status)"
        let refusal = StripeRefusal(status: response.status, code: body?.code, message: message)
        let advice = refusal.map { " - \($0.advice(resource))" } ?? ""
        self.init(
            refusal == .version ? .version : Self.code(of: response.status), operation: operation,
            message: message + advice)
        requestID = response.requestID
        self.resource = resource
        isRetryable = Self.isRetryable(response)
        isOfMissingCursor = body?.code == "resource_missing" && body?.param == "starting_after"
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

    /// `Stripe-Should-Retry` overrides everything (fact ST-25). 409 is a conflict with another request, which passes.
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
            var code: String?
            var param: String?
        }

        var error: Body?
    }
}

/// Why Stripe refuses a key or the program as such, as far as that can be told, with the next thing to do.
enum StripeRefusal: Sendable, CaseIterable {
    case permission, address, expired, key, version

    /// What Stripe says where it has no code of its own for it, in lower case:
    /// - permission: stripe/stripe-node#2246, "Having the 'rak_subscription_read' permission would allow this request" (fact ST-23);
    /// - address: stripe/stripe-dotnet#884;
    /// - expired: https://docs.stripe.com/error-codes has `api_key_expired` and `platform_api_key_expired`;
    /// - version: https://docs.stripe.com/api/versioning (fact ST-13).
    static let texts: [(refusal: StripeRefusal, status: Int, text: String)] = [
        (.address, 403, "ip address"), (.address, 401, "ip address"), (.permission, 403, "required permission"),
        (.permission, 403, "rak_"), (.expired, 401, "expired"), (.version, 400, "api version"),
        (.version, 400, "stripe-version"),
    ]

    init?(status: Int, code: String?, message: String) {
        let message = message.lowercased()
        if status == 401 || status == 403, code == "api_key_expired" || code == "platform_api_key_expired" {
            self = .expired
        } else if let known = Self.texts.first(where: { $0.status == status && message.contains($0.text) }) {
            self = known.refusal
        } else if status == 401 {
            self = .key
        } else {
            return nil
        }
    }

    func advice(_ resource: StripeResource) -> String {
        switch self {
        case .permission:
            "STRIPE_SECRET_KEY lacks the permission \(resource.permissions): add it to the key in Stripe's dashboard"
        case .address:
            "STRIPE_SECRET_KEY may be used from certain addresses only: add the address of the job, or remove the limit"
        case .expired: "STRIPE_SECRET_KEY has expired: create a key and store it in the key's secret"
        case .key:
            "Stripe does not accept STRIPE_SECRET_KEY: it was revoked, or is no key of the account; store a valid one"
        case .version: "this program asks for version \(StripeClient.version) of the API, which the account refuses"
        }
    }
}
