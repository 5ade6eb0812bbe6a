import FoundationEssentials
package import HTTPTransport
package import JobRuntime
package import Logging

/// Reads from Stripe, and never writes.
///
/// Both jobs together send at most 20 requests a second, far under what Stripe allows, since the account serves others too:
/// https://docs.stripe.com/rate-limits. They may run at the same time and know nothing of each other, so each has its share.
package struct StripeClient: Sendable {
    /// Fields move between versions of the API, so one is asked for: https://docs.stripe.com/api/versioning
    package static let version = "2026-06-24.dahlia"
    static let pageSize = 100

    private let baseURL: String
    private let key: Secret
    private let transport: any HTTPTransport
    private let limiter: RateLimiter
    private let retry: RetryPolicy
    private let time: TimeSource
    private let now: @Sendable () -> Timestamp
    private let logger: Logger

    package init(
        baseURL: String, key: Secret, requestsPerSecond: Double, transport: any HTTPTransport,
        retry: RetryPolicy = RetryPolicy(
            attempts: 5, firstDelay: .milliseconds(500), maximumDelay: .seconds(8), budget: .seconds(120)),
        time: TimeSource = .system, now: @escaping @Sendable () -> Timestamp = Timestamp.wallClock, logger: Logger
    ) {
        self.baseURL = baseURL
        self.key = key
        self.transport = transport
        limiter = RateLimiter(ratePerSecond: requestsPerSecond, burst: 1, maxInFlight: 8, time: time)
        self.retry = retry
        self.time = time
        self.now = now
        self.logger = logger
    }

    /// - Parameters:
    ///   - path: Below `/v1`, its parts percent-encoded.
    ///   - query: Values are encoded here.
    func get<Value: Decodable & Sendable>(
        _ type: Value.Type, _ path: String, query: [(name: String, value: String)] = [], of resource: StripeResource,
        to operation: String
    ) async throws -> StripeReply<Value> {
        let items = query.map { "\($0.name)=\(percentEncoded($0.value))" }.joined(separator: "&")
        let url = "\(baseURL)/v1\(path)" + (items.isEmpty ? "" : "?\(items)")
        return try await retry.run(on: time, decide: decide, noting: logger.tryingAgain) { _ in
            try await limiter.withPermit { try await attempt(type, url, of: resource, to: operation) }
        }
    }

    private func decide(_ error: any Error) -> RetryDecision {
        guard let error = error as? StripeError, error.isRetryable else { return .stop }
        if error.code == .rateLimited { limiter.slowDown() }
        return .retry(after: error.retryAfter)
    }

    private func attempt<Value: Decodable & Sendable>(
        _ type: Value.Type, _ url: String, of resource: StripeResource, to operation: String
    ) async throws -> StripeReply<Value> {
        let headers: HTTPHeaders = [
            "Authorization": "Bearer \(key.value)", "Stripe-Version": Self.version, "Accept": "application/json",
        ]
        let from = now()
        let response: HTTPResponse
        do {
            response = try await transport.send(HTTPRequest(.get, url, headers: headers, timeout: .seconds(60)))
        } catch let error as HTTPTransportError {
            var failure = StripeError(.transport, operation: operation, message: error.description)
            failure.isRetryable = error.isRetryable
            throw failure
        }
        let time = ReadTime(from: from, until: now())
        guard (200..<300).contains(response.status) else {
            throw StripeErrors.error(in: response, operation: operation, resource: resource, key: key)
        }
        let requestID = response.headers["request-id"].map { printable($0.prefix(100)) }
        guard let value = try? JSONDecoder().decode(type, from: response.body) else {
            // A reply that was cut off by something in between; the next one may be whole.
            var failure = StripeError(
                .unexpectedReply, operation: operation, message: "the reply is not what it should be")
            failure.requestID = requestID
            failure.isRetryable = true
            throw failure
        }
        return StripeReply(value: value, time: time, requestID: requestID)
    }
}

/// Everything but RFC 3986's unreserved characters as `%XX`.
func percentEncoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "~"):
            bytes.append(byte)
        default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}
