import Foundation
import HTTPTransport
import JobRuntime

/// Stripe's API as far as the jobs use it: subscriptions, products, prices, items and events of one account in test mode.
///
/// Pages are small, so that lists have several. An event is listed up to nine minutes late, and some events come twice.
final class SimulatedStripe: @unchecked Sendable {
    struct Subscription: Hashable {
        var id: String
        var customer: String
        var organization: String
        var status = "active"
        var product = "prod_starter"
        var created: Int64
        var periodEnd: Int64
        var cancelsAtPeriodEnd = false
        var changedAt: Timestamp
    }

    private struct Event {
        var id: String
        var type: String
        var created: Timestamp
        var visibleAt: Timestamp
        var object: JSONValue
    }

    /// What a product gives: the plan and the runs of a day.
    struct Plan {
        var name: String
        var daily: Int
        var concurrent: Int
        var seats: Int
    }

    private(set) var subscriptions: [Subscription] = []
    private(set) var plans: [String: Plan] = [
        "prod_starter": Plan(name: "STARTER", daily: 6, concurrent: 2, seats: 2),
        "prod_professional": Plan(name: "PROFESSIONAL", daily: 25, concurrent: 4, seats: 6),
        "prod_scale": Plan(name: "SCALE", daily: 100, concurrent: 8, seats: 11),
    ]
    /// When the limits of a product were changed last.
    private(set) var plansChangedAt = Timestamp(microseconds: 0)
    private var events: [Event] = []
    private var eventCount = 0
    private var machine: SimulatedMachine { .shared }
    private let pageSize = 3
    var bug: PlantedBug?

    /// The newest events that Stripe shows now, for the question whether there is anything to read.
    func hasEvents(since: Timestamp) -> Bool {
        events.contains { $0.created >= since.adding(.seconds(-1200)) || $0.visibleAt >= since.adding(.seconds(-1200)) }
    }

    func add(_ subscription: Subscription) {
        subscriptions.insert(subscription, at: 0)
        record("customer.subscription.created", json(subscription))
    }

    func change(_ id: String, _ change: (inout Subscription) -> Void) {
        guard let index = subscriptions.firstIndex(where: { $0.id == id }) else { return }
        change(&subscriptions[index])
        subscriptions[index].changedAt = machine.now
        record("customer.subscription.updated", json(subscriptions[index]))
    }

    func change(plan product: String, _ change: (inout Plan) -> Void) {
        guard var plan = plans[product] else { return }
        change(&plan)
        plans[product] = plan
        plansChangedAt = machine.now
        record("product.updated", self.product(product))
    }

    private func record(_ type: String, _ object: JSONValue) {
        eventCount += 1
        let number = eventCount
        let delay = Duration.seconds(number * 7919 % 540)
        for copy in 0..<(number.isMultiple(of: 5) ? 2 : 1) {
            events.append(
                Event(
                    id: "evt_\(number * 31 % 17)_\(number)_\(copy)", type: type, created: machine.now,
                    visibleAt: machine.now.adding(delay), object: object))
        }
        events.removeAll { $0.created < machine.now.adding(.seconds(-31 * 86_400)) }
    }

    // MARK: Replies

    func answer(_ request: HTTPRequest) -> HTTPResponse {
        let url = URLComponents(string: request.url)
        let items = url?.queryItems ?? []
        let query = Dictionary(items.map { ($0.name, $0.value ?? "") }, uniquingKeysWith: { $1 })
        let path = (url?.path ?? "").split(separator: "/").dropFirst().map(String.init)
        switch (path.first, path.dropFirst().first) {
        case ("subscriptions", nil):
            let shown = subscriptions.filter { subscription in
                query["customer"].map { $0 == subscription.customer } ?? true && bug?.hides(subscription) != true
            }
            return page(shown.map { ($0.id, json($0)) }, query)
        case ("subscriptions", let id?):
            guard let found = subscriptions.first(where: { $0.id == id }) else {
                return error(404, "invalid_request_error", "resource_missing", "No such subscription: '\(id)'")
            }
            return SimulatedBigQuery.json(json(found))
        case ("products", nil): return page(plans.keys.sorted().map { ($0, product($0)) }, query)
        case ("prices", nil):
            return page(
                plans.keys.sorted().map {
                    (
                        "price_\($0)",
                        .object(["id": .string("price_\($0)"), "object": .string("price"), "product": .string($0)])
                    )
                }, query)
        case ("events", nil):
            let since = Int64(query["created[gte]"] ?? "") ?? 0
            let now = machine.now
            let shown = events.filter { $0.visibleAt <= now && $0.created.microseconds / 1_000_000 >= since }
                .sorted { ($0.created.microseconds / 1_000_000, $0.id) > ($1.created.microseconds / 1_000_000, $1.id) }
            return page(
                shown.map { event in
                    (
                        event.id,
                        .object([
                            "id": .string(event.id), "object": .string("event"), "type": .string(event.type),
                            "created": .integer(Int(event.created.microseconds / 1_000_000)), "livemode": .bool(false),
                            "data": .object(["object": event.object]),
                        ])
                    )
                }, query)
        default: return error(404, "invalid_request_error", nil, "Unrecognized request URL")
        }
    }

    private func product(_ id: String) -> JSONValue {
        let plan = plans[id] ?? Plan(name: "", daily: 0, concurrent: 0, seats: 0)
        return .object([
            "id": .string(id), "object": .string("product"), "livemode": .bool(false),
            "metadata": .object([
                "plan_id": .string(plan.name.lowercased()), "teamMembers": .string("\(plan.seats)"),
                "providers": .string("3"),
                "pipelinesPerDay": .string("\(plan.daily)"), "concurrentPipelines": .string("\(plan.concurrent)"),
            ]),
        ])
    }

    private func json(_ subscription: Subscription) -> JSONValue {
        let item: JSONValue = .object([
            "id": .string("si_\(subscription.id)"), "current_period_end": .integer(Int(subscription.periodEnd)),
            "price": .object(["id": .string("price_\(subscription.product)"), "product": .string(subscription.product)]
            ),
        ])
        return .object([
            "id": .string(subscription.id), "object": .string("subscription"), "livemode": .bool(false),
            "customer": .object(["id": .string(subscription.customer), "metadata": .object([:])]),
            "status": .string(subscription.status), "created": .integer(Int(subscription.created)),
            "metadata": .object(["org_slug": .string(subscription.organization)]),
            "cancel_at_period_end": .bool(subscription.cancelsAtPeriodEnd), "trial_end": .null, "ended_at": .null,
            "cancel_at": .null,
            "items": .object(["object": .string("list"), "data": .array([item]), "has_more": .bool(false)]),
        ])
    }

    private func page(_ all: [(id: String, object: JSONValue)], _ query: [String: String]) -> HTTPResponse {
        var rest = all[...]
        if let cursor = query["starting_after"] {
            guard all.contains(where: { $0.id == cursor }) else {
                return error(
                    400, "invalid_request_error", "resource_missing", "No such object: '\(cursor)'", "starting_after")
            }
            rest = rest.drop { $0.id != cursor }.dropFirst()
        }
        let limit = min(Int(query["limit"] ?? "") ?? 10, pageSize)
        let hasMore = rest.count > limit && bug != .firstPageOnly
        return SimulatedBigQuery.json(
            .object([
                "object": .string("list"), "data": .array(rest.prefix(limit).map(\.object)), "has_more": .bool(hasMore),
                "url": .string("/v1"),
            ]))
    }

    /// https://docs.stripe.com/api/errors
    func error(
        _ status: Int, _ type: String, _ code: String?, _ message: String, _ parameter: String? = nil
    ) -> HTTPResponse {
        var members: [String: JSONValue] = ["type": .string(type), "message": .string(message)]
        if let code { members["code"] = .string(code) }
        if let parameter { members["param"] = .string(parameter) }
        return SimulatedBigQuery.json(.object(["error": .object(JSONObject(members))]), status: status)
    }

    /// The subscription that gives the organization its plan: the live one first, then the newest.
    func best(of organization: String) -> Subscription? {
        let order = [["active"], ["trialing"], ["past_due"], ["unpaid", "paused"], ["canceled"]]
        let own = subscriptions.filter { $0.organization == organization }
        return order.lazy.compactMap { statuses in
            own.filter { statuses.contains($0.status) }.max { ($0.created, $0.id) < ($1.created, $1.id) }
        }.first
    }
}
