import Foundation
import HTTPTransport
import Synchronization
import TestSupport

/// An account in Stripe's present shape behind a real server, whose objects a test changes at any time.
final class FakeStripe: Sendable {
    struct Subscription: Equatable {
        var id: String
        var customer: String
        var status = "active"
        var product = "prod_starter"
        var metadata: [String: String] = [:]
        var created: Int64 = 1_700_000_000
        var periodEnd: Int64 = 1_800_000_000
        var trialEnd: Int64?
        var endedAt: Int64?
        var cancelAt: Int64?
        var cancelsAtPeriodEnd = false
        /// Products of further items.
        var extras: [String] = []
        /// Only so many items are shown in the subscription itself.
        var inlineItems = 10
        /// Fields with other values than the account's, as JSON texts.
        var overrides: [String: String] = [:]
    }

    struct Event {
        var id: String
        var type: String
        /// Microseconds since 1970; the list shows seconds.
        var created: Int64
        var visibleAt: Int64
        /// The member `data`, as JSON.
        var data: String
    }

    struct Account {
        /// The newest first, as Stripe lists them.
        var subscriptions: [Subscription] = []
        var products: [String: [String: String]] = [:]
        var customers: [String: [String: String]] = [:]
        var deletedCustomers: Set<String> = []
        /// How often something was changed for an organization; kept by tests.
        var revisions: [String: Int] = [:]
        /// The most that a page has, whatever limit was asked for.
        var pageSize = 100
        /// A page after something that is not there is refused, as Stripe does.
        var refusesUnknownCursors = false
        /// Events are recorded once this is set. In microseconds since 1970.
        var clock: (@Sendable () -> Int64)?
        /// Events become visible late, come twice, and have another order within a second.
        var isErratic = false
        var events: [Event] = []
        /// When something was changed for an organization, in microseconds since 1970.
        var changedAt: [String: Int64] = [:]
        /// Runs before each request is answered.
        var onRequest: (@Sendable (inout Account, ScriptedRequest) -> ScriptedReply?)?
    }

    private let account: Mutex<Account>
    let server: ScriptedServer

    init(_ account: Account = .usual) throws {
        let box = Box(account)
        self.account = Mutex(account)
        server = try ScriptedServer { request in box.owner?.answer(request) ?? .reset }
        box.owner = self
    }

    /// The server is made before the account that it serves is complete.
    private final class Box: @unchecked Sendable {
        weak var owner: FakeStripe?
        init(_: Account) {}
    }

    func change(_ change: (inout Account) -> Void) {
        account.withLock { account in
            let before = account
            change(&account)
            account.record(since: before)
        }
    }
    var now: Account { account.withLock { $0 } }

    /// How many requests went to paths that begin so.
    func requests(_ prefix: String = "/v1/") -> Int { server.requests.count { $0.path.hasPrefix(prefix) } }

    /// Reaches the account without a server: thousands of histories in seconds.
    struct Transport: HTTPTransport {
        let stripe: FakeStripe

        func send(_ request: HTTPRequest) async throws -> HTTPResponse {
            let index = stripe.sent.withLock { sent in
                defer { sent += 1 }
                return sent
            }
            let reply = stripe.answer(ScriptedRequest(request, index: index))
            return HTTPResponse(status: reply.status, headers: reply.headers, body: reply.body)
        }
    }

    private let sent = Mutex(0)

    private func answer(_ request: ScriptedRequest) -> ScriptedReply {
        account.withLock { account in
            let before = account
            let reply = account.onRequest?(&account, request)
            account.record(since: before)
            return reply ?? account.answer(request)
        }
    }
}

extension FakeStripe.Account {
    static let starter = [
        "plan_id": "starter", "teamMembers": "2", "providers": "3", "pipelinesPerDay": "6", "concurrentPipelines": "1",
    ]
    static let scale = ["plan_id": "scale", "teamMembers": "11", "providers": "10", "pipelinesPerDay": "100"]

    static var usual: Self { Self(products: ["prod_starter": starter, "prod_scale": scale]) }

    func answer(_ request: ScriptedRequest) -> ScriptedReply {
        let parts = request.path.split(separator: "/").dropFirst().map(String.init)
        switch (parts.first, parts.dropFirst().first) {
        case ("subscriptions", nil):
            let customer = request.query["customer"]
            let wanted = subscriptions.filter { customer == nil || $0.customer == customer }
            return page(wanted.map { (id: $0.id, object: json($0, request, "data.customer")) }, request)
        case ("subscriptions", let id?):
            return one(subscriptions.first { $0.id == id }.map { json($0, request, "customer") })
        case ("products", nil):
            return page(
                products.sorted { $0.key < $1.key }.map { (id: $0.key, object: ["id": $0.key, "metadata": $0.value]) },
                request)
        case ("subscription_items", nil):
            let owner = subscriptions.first { $0.id == request.query["subscription"] }
            return page((owner?.items ?? []).map { (id: $0["id"] as? String ?? "", object: $0) }, request)
        case ("events", nil): return events(request)
        case ("prices", nil):
            let all = products.keys.sorted().map { (id: "price_\($0)", object: ["id": "price_\($0)", "product": $0]) }
            return page(all, request)
        default: return .json(#"{"error": {"message": "Unrecognized request URL"}}"#, status: 404)
        }
    }

    /// With its customer where that was asked for; one that is not among `customers` has no metadata.
    private func json(
        _ subscription: FakeStripe.Subscription, _ request: ScriptedRequest, _ expansion: String
    ) -> [String: Any] {
        var object = subscription.json
        if request.query["expand[]"] == expansion, subscription.overrides["customer"] == nil {
            let id = subscription.customer
            object["customer"] =
                deletedCustomers.contains(id)
                ? ["id": id, "deleted": true] : ["id": id, "metadata": customers[id] ?? [:]]
        }
        return object
    }

    /// As https://docs.stripe.com/api/events/list has them: the newest first, for thirty days.
    private func events(_ request: ScriptedRequest) -> ScriptedReply {
        let now = clock?() ?? 0
        let since = Int64(request.query["created[gte]"] ?? "") ?? .max
        let shown = events.filter {
            $0.visibleAt <= now && $0.created / 1_000_000 >= since && $0.created > now - 30 * 86_400_000_000
        }.sorted { ($0.created / 1_000_000, $0.id) > ($1.created / 1_000_000, $1.id) }
        return page(
            shown.map { event in
                let data = (try? JSONSerialization.jsonObject(with: Data(event.data.utf8))) ?? [:]
                return (
                    event.id,
                    [
                        "id": event.id, "object": "event", "type": event.type, "created": event.created / 1_000_000,
                        "data": data,
                    ]
                )
            }, request)
    }

    /// Records the events of what changed.
    mutating func record(since before: Self) {
        guard let now = clock?() else { return }
        for (slug, revision) in revisions where before.revisions[slug] != revision { changedAt[slug] = now }
        let known = Dictionary(before.subscriptions.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        for subscription in subscriptions where known[subscription.id] != subscription {
            let former = known[subscription.id]?.metadata
            add(
                "customer.subscription.\(former == nil ? "created" : "updated")", subscription.json,
                former == nil || former == subscription.metadata ? [:] : ["metadata": former ?? [:]], now)
        }
        for (id, metadata) in products where before.products[id] != metadata {
            add("product.updated", ["id": id, "object": "product", "metadata": metadata], [:], now)
        }
    }

    private mutating func add(_ type: String, _ object: [String: Any], _ previous: [String: Any], _ now: Int64) {
        let data =
            (try? JSONSerialization.data(withJSONObject: ["object": object, "previous_attributes": previous])) ?? Data()
        let number = events.count
        // Up to nine minutes late.
        let delay = isErratic ? Int64(number * 7919 % 540) * 1_000_000 : 0
        for copy in 0..<(isErratic && number.isMultiple(of: 5) ? 2 : 1) {
            events.append(
                .init(
                    id: "evt_\(number * 31 % 17)_\(number)_\(copy)", type: type, created: now,
                    visibleAt: now + delay * Int64(copy + 1), data: String(decoding: data, as: UTF8.self)))
        }
    }

    private func one(_ object: [String: Any]?) -> ScriptedReply {
        guard let object else { return .json(#"{"error": {"message": "No such object"}}"#, status: 404) }
        return reply(object)
    }

    private func page(_ all: [(id: String, object: [String: Any])], _ request: ScriptedRequest) -> ScriptedReply {
        var rest = all[...]
        if let cursor = request.query["starting_after"] {
            if refusesUnknownCursors, !all.contains(where: { $0.id == cursor }) {
                let error =
                    #"{"error": {"code": "resource_missing", "param": "starting_after", "message": "No such object"}}"#
                return .json(error, status: 400)
            }
            rest = rest.drop { $0.id != cursor }.dropFirst()
        }
        let limit = min(Int(request.query["limit"] ?? "10") ?? 10, pageSize)
        return reply(["object": "list", "data": rest.prefix(limit).map(\.object), "has_more": rest.count > limit])
    }

    private func reply(_ object: [String: Any]) -> ScriptedReply {
        let data = (try? JSONSerialization.data(withJSONObject: object)) ?? Data()
        return ScriptedReply(
            headers: ["Content-Type": "application/json", "request-id": "req_fake"], body: data)
    }
}

extension FakeStripe.Subscription {
    var items: [[String: Any]] {
        ([product] + extras).enumerated().map { index, product in
            [
                "id": "si_\(id)_\(index)", "current_period_end": periodEnd,
                "price": ["id": "price_\(product)", "product": product],
            ]
        }
    }

    var json: [String: Any] {
        var object: [String: Any] = [
            "id": id, "object": "subscription", "customer": customer, "status": status, "metadata": metadata,
            "created": created, "cancel_at_period_end": cancelsAtPeriodEnd,
            "items": [
                "object": "list", "data": Array(items.prefix(inlineItems)), "has_more": items.count > inlineItems,
            ],
        ]
        for (key, value) in [("trial_end", trialEnd), ("ended_at", endedAt), ("cancel_at", cancelAt)] {
            object[key] = value.map { $0 as Any } ?? NSNull()
        }
        for (key, text) in overrides {
            object[key] = try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
        }
        return object
    }
}
