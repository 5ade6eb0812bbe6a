import BillingKit
import FoundationEssentials
import HTTPTransport
import JobRuntime
import Logging
import Synchronization
import Warehouse

/// Stripe's account with one subscription, which is a table of the model: a request is a statement, and so a step.
struct ModelStripe: HTTPTransport {
    static let table = TableReference(DatasetID("stripe")!, "account")!
    static let nextPlan = Statement("change the plan in Stripe", "UPDATE \(table.sql) SET plan = plan + 1 WHERE TRUE")

    private static let read = Statement("read the subscription in Stripe", "SELECT plan FROM \(table.sql)")

    let warehouse: any SQLWarehouse
    /// The answer of the first request is the answer of all, if the job reads too early.
    private let early: Early?

    private final class Early: Sendable {
        let plan = Mutex<Int64?>(nil)
    }

    private final class Elapsed: Sendable {
        let time = Mutex(Duration.zero)
    }

    static func client(
        _ warehouse: any SQLWarehouse, _ now: @escaping @Sendable () -> Timestamp, readsEarly: Bool
    ) -> StripeClient {
        // The rate of requests is kept on a clock of its own, which costs no time of the model.
        let elapsed = Elapsed()
        let time = TimeSource(
            elapsed: { elapsed.time.withLock { $0 } }, sleep: { pause in elapsed.time.withLock { $0 += pause } })
        return StripeClient(
            baseURL: "https://stripe.model", key: Secret("rk_test_model"), mode: .test, requestsPerSecond: 1000,
            transport: ModelStripe(warehouse: warehouse, early: readsEarly ? Early() : nil), time: time, now: now,
            logger: Logger(label: "model") { _ in SwiftLogNoOpLogHandler() })
    }

    func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        let path = request.url.dropFirst("https://stripe.model/v1/".count).prefix { $0 != "?" }
        switch path {
        case "events":
            if let early {
                let plan = try await plan()
                early.plan.withLock { $0 = plan }
            }
            return Self.page([])
        case "products":
            return Self.page(
                ["starter", "scale"].map {
                    """
                    {"id": "prod_\($0)", "metadata": {"plan_id": "\($0)", "teamMembers": "2", "providers": "3", \
                    "pipelinesPerDay": "6"}}
                    """
                })
        case "subscriptions":
            let known = early?.plan.withLock { $0 }
            let plan = if let known { known } else { try await plan() }
            return Self.page([Self.subscription(plan)])
        default: preconditionFailure("the model of Stripe has no \(path)")
        }
    }

    private func plan() async throws -> Int64 {
        do {
            return try await warehouse.query(Self.read).rows[0].int64("plan")
        } catch let error as WarehouseError {
            throw HTTPTransportError(.other, operation: "GET", message: error.message)
        }
    }

    private static func subscription(_ plan: Int64) -> String {
        """
        {"id": "sub_1", "status": "active", "livemode": false, "created": 1700000000, "cancel_at_period_end": false, \
        "customer": {"id": "cus_1", "metadata": {"org_slug": "acme"}}, "metadata": {"org_slug": "acme"}, \
        "items": {"has_more": false, "data": [{"id": "si_1", "current_period_end": 1800000000, \
        "price": {"id": "price_1", "product": "prod_\(plan == 0 ? "starter" : "scale")"}}]}}
        """
    }

    private static func page(_ objects: [String]) -> HTTPResponse {
        let text = "{\"object\": \"list\", \"has_more\": false, \"data\": [\(objects.joined(separator: ", "))]}"
        return HTTPResponse(status: 200, body: Data(text.utf8))
    }
}
