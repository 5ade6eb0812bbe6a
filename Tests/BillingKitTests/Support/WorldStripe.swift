import Foundation
import HTTPTransport
import Synchronization
import TestSupport
import Testing

/// The account of a folder under `Worlds`, by Stripe's own rules for lists. Parameters that Stripe does not publish are refused.
final class WorldStripe: HTTPTransport {
    private struct State {
        var world: [String: Any]
        var faults: [[String: Any]]
        var requests: [String] = []
        var problems: [String] = []
    }

    private let state: Mutex<State>

    init(_ folder: URL) throws {
        let world = try JSONSerialization.jsonObject(with: Data(contentsOf: folder.appending(path: "world.json")))
        let faults = (try? Data(contentsOf: folder.appending(path: "fault.json"))).flatMap {
            try? JSONSerialization.jsonObject(with: $0)
        }
        state = Mutex(
            State(world: world as? [String: Any] ?? [:], faults: faults as? [[String: Any]] ?? []))
    }

    /// The requests so far, and what Stripe would have refused in them.
    var requests: [String] { state.withLock { $0.requests } }
    var problems: [String] { state.withLock { $0.problems } }

    func endFaults() { state.withLock { $0.faults = [] } }

    func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        let asked = ScriptedRequest(request, index: 0)
        return state.withLock { state in
            state.requests.append(asked.target)
            if let fault = state.faults.first(where: { asked.path.contains($0["match"] as? String ?? "") }) {
                return Self.response(
                    fault["status"] as? Int ?? 500, fault["body"] ?? [:], fault["headers"] as? [String: String] ?? [:])
            }
            let (status, value) = Self.answer(asked, state.world)
            if status == 400 { state.problems.append(asked.target) }
            return Self.response(status, value)
        }
    }

    private static func response(_ status: Int, _ value: Any, _ headers: [String: String] = [:]) -> HTTPResponse {
        var all: HTTPHeaders = ["Content-Type": "application/json", "Request-Id": "req_world"]
        for (name, value) in headers { all[name] = value }
        return HTTPResponse(
            status: status, headers: all, body: (try? JSONSerialization.data(withJSONObject: value)) ?? Data())
    }

    /// The query parameters of the lists: https://github.com/stripe/openapi (2026-06-24.dahlia)
    private static let parameters: [String: Set<String>] = [
        "subscriptions": [
            "automatic_tax", "collection_method", "created", "current_period_end", "current_period_start", "customer",
            "customer_account", "ending_before", "expand[]", "limit", "price", "starting_after", "status", "test_clock",
        ],
        "products": [
            "active", "created", "ending_before", "expand[]", "ids", "limit", "shippable", "starting_after", "url",
        ],
        "prices": [
            "active", "created", "currency", "ending_before", "expand[]", "limit", "lookup_keys", "product",
            "recurring",
            "starting_after", "type",
        ],
        "subscription_items": ["ending_before", "expand[]", "limit", "starting_after", "subscription"],
        "events": [
            "created", "delivery_success", "ending_before", "expand[]", "limit", "starting_after", "type", "types[]",
        ],
    ]

    private static func answer(_ request: ScriptedRequest, _ world: [String: Any]) -> (Int, Any) {
        let parts = request.path.split(separator: "/").dropFirst().map(String.init)
        // A parameter with members, such as created[gte], is published by its name.
        let query = Dictionary(
            request.query.map { ($0.key == "created[gte]" ? "created" : $0.key, $0.value) }, uniquingKeysWith: { $1 })
        let subscriptions = world["subscriptions"] as? [[String: Any]] ?? []
        if parts.count == 2, parts[0] == "subscriptions" {
            guard Set(query.keys).isSubset(of: ["expand[]"]) else { return refusal("parameter_unknown") }
            guard let found = subscriptions.first(where: { $0["id"] as? String == parts[1] }) else {
                return (404, ["error": ["code": "resource_missing", "message": "No such subscription"]])
            }
            return (200, expanded(found, query["expand[]"] == "customer", world))
        }
        guard let name = parts.first, let known = parameters[name], Set(query.keys).isSubset(of: known),
            (1...100).contains(Int(query["limit"] ?? "10") ?? 0)
        else { return refusal("parameter_unknown") }
        var all = world[name] as? [[String: Any]] ?? []
        if let customer = query["customer"] {
            all.removeAll { ($0["customer"] as? String) != customer }
            if all.isEmpty { return refusal("resource_missing") }
        }
        if name == "subscriptions", query["status"] == nil { all.removeAll { $0["status"] as? String == "canceled" } }
        all.sort { ($0["created"] as? Int ?? 0) > ($1["created"] as? Int ?? 0) }
        if let cursor = query["starting_after"] {
            guard let index = all.firstIndex(where: { $0["id"] as? String == cursor }) else {
                return refusal("resource_missing", param: "starting_after")
            }
            all.removeFirst(index + 1)
        }
        let limit = Int(query["limit"] ?? "10") ?? 10
        let page = all.prefix(limit).map { expanded($0, query["expand[]"] == "data.customer", world) }
        return (200, ["object": "list", "data": page, "has_more": all.count > limit])
    }

    private static func refusal(_ code: String, param: String? = nil) -> (Int, Any) {
        (400, ["error": ["code": code, "message": "refused", "param": param ?? ""]])
    }

    private static func expanded(_ object: [String: Any], _ isExpanded: Bool, _ world: [String: Any]) -> [String: Any] {
        guard isExpanded, let id = object["customer"] as? String else { return object }
        let customers = world["customers"] as? [String: Any] ?? [:]
        return object.merging(["customer": customers[id] ?? ["id": id, "object": "customer", "metadata": [:]]]) { $1 }
    }
}
