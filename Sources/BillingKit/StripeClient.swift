import FoundationEssentials
package import HTTPTransport
package import JobRuntime
package import Logging

/// How Stripe is reached.
package struct StripeSettings: JobSettings {
    package let key: Secret
    package let baseURL: String

    package init(reading environment: inout EnvironmentReader) {
        let expected = "a restricted key (rk_...) or a secret key (sk_...) of the Stripe account"
        key = environment.requiredSecret(
            "STRIPE_SECRET_KEY", expected: expected,
            help: "A restricted key that may read customers, products, prices and subscriptions.")
        // An empty key is reported already, or is not needed to describe the job.
        if !key.value.isEmpty, !environment.hasProblem(with: ["STRIPE_SECRET_KEY"]), !Self.isKey(key.value) {
            environment.note(
                "STRIPE_SECRET_KEY", problem: "is no secret or restricted key (it is not shown)", expected: expected)
        }
        let url = environment.string(
            "STRIPE_API_BASE", default: "https://api.stripe.com", expected: "https://api.stripe.com, or unset it",
            help: "For tests: another server's base URL.", check: problemOfSecureURL)
        baseURL = url.hasSuffix("/") ? String(url.dropLast()) : url
    }

    private static func isKey(_ text: String) -> Bool {
        (text.hasPrefix("sk_") || text.hasPrefix("rk_")) && text.utf8.count > 5
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }
}

/// Reads from Stripe, and never writes.
///
/// Both jobs together send at most 20 requests a second, far below Stripe's limit, since the account serves others too:
/// https://docs.stripe.com/rate-limits. The two jobs may run at the same time and do not know of each other, so each has its
/// own share.
///
/// ```swift
/// let stripe = StripeClient(settings.stripe, requestsPerSecond: 8, transport: transport, logger: logger)
/// try await BillingRetry(stripe: stripe, ...).run(limit: 100, lease: .seconds(900))
/// ```
package struct StripeClient: Sendable {
    /// Fields move between versions of the API, so one is asked for: https://docs.stripe.com/api/versioning
    package static let version = "2026-06-24.dahlia"
    static let pageSize = 100
    /// `expand[]`: https://docs.stripe.com/api/expanding_objects
    private static let expand = "expand[]"

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

    package init(
        _ settings: StripeSettings, requestsPerSecond: Double, transport: any HTTPTransport, logger: Logger
    ) {
        self.init(
            baseURL: settings.baseURL, key: settings.key, requestsPerSecond: requestsPerSecond, transport: transport,
            logger: logger)
    }

    /// Hands over every subscription of the account, or of one customer, page by page as the pages arrive. Canceled
    /// subscriptions are included, and each comes with its customer, so none needs a request of its own to name its owner.
    ///
    /// It returns at the end of the list, or when `handle` returns `false`; every other end is thrown. The newest come first,
    /// so a subscription that is created meanwhile is missing, and one may come twice when others move.
    func subscriptions(
        ofCustomer customer: String? = nil, _ handle: (_ page: StripeReply<[StripeSubscription]>) async throws -> Bool
    ) async throws {
        var query = [(name: "status", value: "all"), (Self.expand, "data.customer")]
        if let customer { query.append(("customer", customer)) }
        try await pages(StripeSubscription.self, "/subscriptions", query, of: .subscriptions, handle)
    }

    /// All products, archived ones included.
    func products() async throws -> StripeReply<[StripeProduct]> {
        try await all(StripeProduct.self, "/products", of: .products)
    }

    /// All prices, archived ones included.
    func prices() async throws -> StripeReply<[StripePrice]> {
        try await all(StripePrice.self, "/prices", of: .prices)
    }

    /// - Returns: `nil` if the account has no such subscription.
    func subscription(_ id: String) async throws -> StripeReply<StripeSubscription>? {
        let operation = "read subscription \(printable(id))"
        do {
            let reply = try await get(
                StripeSubscription.self, "/subscriptions/\(percentEncoded(id))", query: [(Self.expand, "customer")],
                of: .subscriptions, to: operation)
            guard reply.value.id == id else {
                throw unexpected("the reply is not that subscription", operation, reply.requestID)
            }
            return reply
        } catch let error as StripeError where error.code == .notFound {
            return nil
        }
    }

    /// The subscription with all of its items: a list shows only the first few. A malformed subscription stays as it is.
    func withAllItems(_ reply: StripeReply<StripeSubscription>) async throws -> StripeReply<StripeSubscription> {
        guard reply.value.hasMoreItems, reply.value.malformed.isEmpty else { return reply }
        var whole = reply
        var items: [StripeSubscriptionItem] = []
        let query = [(name: "subscription", value: reply.value.id)]
        try await pages(StripeSubscriptionItem.self, "/subscription_items", query, of: .subscriptions) { page in
            items += page.value
            whole.time = whole.time.joined(page.time)
            return true
        }
        whole.value.replaceItems(with: items)
        return whole
    }

    private func all<Element: StripeObject>(
        _ type: Element.Type, _ path: String, of resource: StripeResource
    ) async throws -> StripeReply<[Element]> {
        var whole: StripeReply<[Element]>?
        try await pages(type, path, [], of: resource) { page in
            if let known = whole {
                let time = known.time.joined(page.time)
                whole = StripeReply(value: known.value + page.value, time: time, requestID: known.requestID)
            } else {
                whole = page
            }
            return true
        }
        return whole!
    }

    private func pages<Element: StripeObject>(
        _ type: Element.Type, _ path: String, _ query: [(name: String, value: String)], of resource: StripeResource,
        _ handle: (StripeReply<[Element]>) async throws -> Bool
    ) async throws {
        let operation = "list \(resource.rawValue.lowercased())"
        var cursor: String?
        while true {
            try Task.checkCancellation()
            var items = query + [("limit", String(Self.pageSize))]
            if let cursor { items.append(("starting_after", cursor)) }
            let reply = try await get(StripePage<Element>.self, path, query: items, of: resource, to: operation)
            let page = StripeReply(value: reply.value.data, time: reply.time, requestID: reply.requestID)
            guard try await handle(page), reply.value.hasMore else { return }
            // Without this check a server that repeats itself would be asked for ever.
            guard let last = reply.value.data.last(where: { !$0.id.isEmpty })?.id, last != cursor else {
                throw unexpected("there is more, but no page of it", operation, reply.requestID)
            }
            cursor = last
        }
    }

    /// - Parameters:
    ///   - path: Below `/v1`, its parts percent-encoded.
    ///   - query: Not yet encoded.
    private func get<Value: Decodable & Sendable>(
        _ type: Value.Type, _ path: String, query: [(name: String, value: String)], of resource: StripeResource,
        to operation: String
    ) async throws -> StripeReply<Value> {
        let items = query.map { "\(percentEncoded($0.name))=\(percentEncoded($0.value))" }.joined(separator: "&")
        let url = "\(baseURL)/v1\(path)?\(items)"
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
            let arrival = Date(timeIntervalSince1970: Double(time.until.microseconds) / 1_000_000)
            throw StripeError(response, operation: operation, resource: resource, key: key, now: arrival)
        }
        let requestID = response.requestID
        guard let value = try? JSONDecoder().decode(type, from: response.body) else {
            // Something in between may have cut the reply off; the next one may be whole.
            var failure = unexpected("the reply is not what it should be", operation, requestID)
            failure.isRetryable = true
            throw failure
        }
        return StripeReply(value: value, time: time, requestID: requestID)
    }

    private func unexpected(_ message: String, _ operation: String, _ requestID: String?) -> StripeError {
        var error = StripeError(.unexpectedReply, operation: operation, message: message)
        error.requestID = requestID
        return error
    }
}

/// When something was read from Stripe. It is as Stripe had it at some instant from `from`, when the first request was sent, to
/// `until`, when the last reply was there.
///
/// Nobody knows which of two overlapping reads is newer. So a read counts as newer than another one only if it began after
/// the other one had ended.
package struct ReadTime: Hashable, Sendable {
    package var from: Timestamp
    package var until: Timestamp

    package init(from: Timestamp, until: Timestamp) {
        self.from = from
        self.until = until
    }

    /// The time of both reads together.
    func joined(_ other: ReadTime) -> ReadTime {
        ReadTime(from: min(from, other.from), until: max(until, other.until))
    }
}

/// A reply of Stripe with the time of its reading.
struct StripeReply<Value: Sendable>: Sendable {
    var value: Value
    var time: ReadTime
    var requestID: String?
}

extension StripeReply where Value == [StripeSubscription] {
    /// A page's subscriptions, each with the time of the page.
    var each: [StripeReply<StripeSubscription>] {
        value.map { StripeReply<StripeSubscription>(value: $0, time: time, requestID: requestID) }
    }
}
