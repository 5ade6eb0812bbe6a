import FoundationEssentials
package import HTTPTransport
package import JobRuntime
package import Logging

/// Reads from Stripe, and never writes.
///
/// Both jobs together send at most 20 requests a second, far below Stripe's limit (fact ST-22), since the account serves others too:
/// https://docs.stripe.com/rate-limits. The two jobs may run at the same time and do not know of each other, so each has its
/// own share.
///
/// ```swift
/// let stripe = StripeClient(settings.stripe, requestsPerSecond: 8, of: run)
/// try await BillingRetry(stripe: stripe, ...).run(limit: 100, lease: .seconds(900))
/// ```
package struct StripeClient: Sendable {
    /// Fields move between versions of the API, so one is asked for: https://docs.stripe.com/api/versioning (fact ST-13)
    package static let version = "2026-06-24.dahlia"
    static let pageSize = 100
    /// `expand[]`: https://docs.stripe.com/api/expanding_objects
    private static let expand = "expand[]"

    /// A page takes a second or two. An attempt that takes longer has stalled, and the next one may be answered at once.
    private static let attemptTimeout = Duration.seconds(20)
    /// So many objects may vanish between two pages before a listing has no cursor left.
    private static let mostCursors = 100

    private let baseURL: String
    private let key: Secret
    private let mode: StripeMode
    let ignore: StripeIgnore
    private let transport: any HTTPTransport
    private let limiter: RateLimiter
    private let retry: RetryPolicy
    private let listing: RetryPolicy
    private let time: TimeSource
    private let now: @Sendable () -> Timestamp
    private let logger: Logger

    /// - Parameters:
    ///   - mode: The mode that every object must be of (fact ST-17).
    ///   - patience: How long one page of a listing is asked for again. A listing that ends early is lost as a whole, so the
    ///     job's time is its limit. Without it a page has the attempts of every other request.
    package init(
        baseURL: String, key: Secret, mode: StripeMode, ignore: StripeIgnore = StripeIgnore(),
        requestsPerSecond: Double,
        patience: Duration? = nil, transport: any HTTPTransport, time: TimeSource = .system,
        now: @escaping @Sendable () -> Timestamp = Timestamp.wallClock, logger: Logger
    ) {
        self.baseURL = baseURL
        self.key = key
        self.mode = mode
        self.ignore = ignore
        self.transport = transport
        limiter = RateLimiter(ratePerSecond: requestsPerSecond, burst: 1, maxInFlight: 8, time: time)
        // Five attempts fit the budget even if each of them stalls.
        retry = RetryPolicy(
            attempts: 5, firstDelay: .milliseconds(500), maximumDelay: .seconds(8), budget: .seconds(120))
        listing = patience.map { RetryPolicy(firstDelay: .milliseconds(500), budget: $0) } ?? retry
        self.time = time
        self.now = now
        self.logger = logger
    }

    /// The client of a run. One page of a listing is asked for again for half of the run's time, since the rest of the work comes
    /// after the listing.
    package init(_ settings: StripeSettings, requestsPerSecond: Double, of run: Run) {
        self.init(
            baseURL: settings.baseURL, key: settings.key, mode: settings.mode, ignore: settings.ignore,
            requestsPerSecond: requestsPerSecond, patience: (run.deadline ?? .seconds(2400)) / 2,
            transport: run.transport(), logger: run.logger)
    }

    /// Hands over every subscription of the account, or of one customer, page by page as the pages arrive. Canceled
    /// subscriptions are included, and each comes with its customer, so none needs a request of its own to name its owner (facts ST-05, ST-06 and ST-20).
    ///
    /// It returns at the end of the list, or when `handle` returns `false`; every other end is thrown. The newest come first (fact ST-02),
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

    /// Hands over the events of ``StripeEvent/types`` since a time, the newest first, page by page (facts ST-01 and ST-10).
    ///
    /// - Returns: `false` if `handle` ended it: https://docs.stripe.com/api/events/list
    func events(since: Timestamp, _ handle: (_ page: [StripeEvent]) async throws -> Bool) async throws -> Bool {
        let seconds = since.microseconds / 1_000_000
        let query = [(name: "created[gte]", value: String(seconds))] + StripeEvent.types.map { ("types[]", $0) }
        var isComplete = true
        try await pages(StripeEvent.self, "/events", query, of: .events) { page in
            isComplete = try await handle(page.value)
            return isComplete
        }
        return isComplete
    }

    /// - Returns: `nil` if the account has no such subscription (fact ST-16).
    func subscription(_ id: String) async throws -> StripeReply<StripeSubscription>? {
        let operation = "read subscription \(printable(id))"
        do {
            return try await get(
                StripeSubscription.self, "/subscriptions/\(percentEncoded(id))", query: [(Self.expand, "customer")],
                of: .subscriptions, to: operation
            ) { subscription in
                if let fault = fault([subscription]) { return fault }
                return subscription.id == id ? nil : .final("the reply is not that subscription")
            }
        } catch let error as StripeError where error.code == .notFound {
            return nil
        }
    }

    /// Asks for the least that there is.
    ///
    /// - Throws: The error, if Stripe does not answer that either. Then the error concerned no object, but all of them.
    func confirmIsThere(after error: StripeError) async throws {
        do {
            _ = try await get(
                StripePage<StripeSubscription>.self, "/subscriptions", query: [("limit", "1")], of: .subscriptions,
                to: "list subscriptions"
            ) { _ in nil }
        } catch let again as StripeError {
            throw again.endsRun ? again : error
        }
    }

    /// The subscription with all of its items (fact ST-19): a list shows only the first few. A malformed subscription stays as it is.
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

    /// Reads a list page by page (fact ST-03). If the object that a page ended with is gone when the next page is asked for, the object
    /// before it leads to the same place (fact ST-04).
    private func pages<Element: StripeObject>(
        _ type: Element.Type, _ path: String, _ query: [(name: String, value: String)], of resource: StripeResource,
        _ handle: (StripeReply<[Element]>) async throws -> Bool
    ) async throws {
        let operation = "list \(resource.rawValue.lowercased())"
        /// The ids that were read last, the last one at the end.
        var cursors: [String] = []
        while true {
            try Task.checkCancellation()
            let cursor = cursors.last
            var items = query + [("limit", String(Self.pageSize))]
            if let cursor { items.append(("starting_after", cursor)) }
            let reply: StripeReply<StripePage<Element>>
            do {
                reply = try await get(
                    StripePage<Element>.self, path, query: items, of: resource, to: operation, listing: true
                ) { page in
                    if let fault = fault(page.data) { return fault }
                    return page.hasMore && page.data.isEmpty ? .passing("there is more, but the page is empty") : nil
                }
            } catch let error as StripeError where error.isOfMissingCursor && cursors.count > 1 {
                cursors.removeLast()
                continue
            }
            let page = StripeReply(value: reply.value.data, time: reply.time, requestID: reply.requestID)
            guard try await handle(page), reply.value.hasMore else { return }
            let ids = page.value.lazy.map(\.id).filter { !$0.isEmpty }
            // Without this check a server that repeats itself would be asked for ever.
            guard let last = ids.last, last != cursor else {
                throw unexpected("there is more, but no page of it", operation, reply.requestID)
            }
            cursors = (cursors + ids).suffix(Self.mostCursors)
        }
    }

    /// The problem of a reply that could be read.
    private enum Fault {
        /// The next reply may be right.
        case passing(String)
        case final(String)
        /// The objects are those of the other mode.
        case mode
    }

    private func fault(_ objects: [some StripeObject]) -> Fault? {
        objects.contains { $0.isLive != nil && $0.isLive != (mode == .live) } ? .mode : nil
    }

    /// - Parameters:
    ///   - path: Below `/v1`, its parts percent-encoded.
    ///   - query: Not yet encoded.
    ///   - check: What is wrong with the value, if anything.
    private func get<Value: Decodable & Sendable>(
        _ type: Value.Type, _ path: String, query: [(name: String, value: String)], of resource: StripeResource,
        to operation: String, listing isListing: Bool = false, check: @Sendable (Value) -> Fault?
    ) async throws -> StripeReply<Value> {
        let items = query.map { "\(percentEncoded($0.name))=\(percentEncoded($0.value))" }.joined(separator: "&")
        let url = "\(baseURL)/v1\(path)?\(items)"
        let policy = isListing ? listing : retry
        return try await policy.run(on: time, decide: decide, noting: logger.tryingAgain) { _ in
            let reply = try await limiter.withPermit { try await attempt(type, url, of: resource, to: operation) }
            switch check(reply.value) {
            case nil: return reply
            case .passing(let message):
                var failure = unexpected(message, operation, reply.requestID)
                failure.isRetryable = true
                throw failure
            case .final(let message): throw unexpected(message, operation, reply.requestID)
            case .mode: throw StripeError(of: mode, operation: operation, requestID: reply.requestID)
            }
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
            response = try await transport.send(HTTPRequest(.get, url, headers: headers, timeout: Self.attemptTimeout))
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
        let decoder = JSONDecoder()
        decoder.userInfo[StripeIgnore.userInfoKey] = ignore
        guard let value = try? JSONReader.decode(type, from: response.body, with: decoder) else {
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
