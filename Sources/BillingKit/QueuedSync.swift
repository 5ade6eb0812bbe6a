import FoundationEssentials
import JobRuntime
import Warehouse
import WarehouseKit

/// An item of the queue: an organization whose subscription is to be read from Stripe.
struct QueuedSync: Sendable {
    static let types = ["plan_change", "checkout", "webhook", "cancellation", "reconciliation", "event"]
    /// The item of the whole account has this type, and ``wholeAccount`` in place of an organization.
    static let fullType = "full_reconciliation"
    static let wholeAccount = "*"

    var id: String
    var slug: String
    var type: String
    /// How many retries were scheduled so far.
    var retries: Int64
    var maxRetries: Int64
    /// Where to look, from the payload. The values that are written come from Stripe.
    var hints: StripeHints
    /// Why somebody queued it, in their words.
    var why: String?
    /// The fault of the item itself.
    var problem: BillingProblem?

    /// An item of the program itself.
    init(id: String, slug: String) {
        self.id = id
        self.slug = slug
        type = "reconciliation"
        retries = 0
        maxRetries = 5
        hints = StripeHints()
    }

    init(_ row: Row) throws {
        id = try row.string("sync_id")
        slug = try row.string("org_slug")
        type = try row.string("sync_type")
        retries = try row.int64("retry_count")
        maxRetries = try row.int64("max_retries")
        let payload = try row.payload("payload")
        hints = StripeHints(payload: payload)
        why = payload.flatMap { JSONValue.members(of: Data($0.utf8))?["why"]?.text }.map { String($0.prefix(200)) }
        if isOfWholeAccount {
            // It names no organization.
        } else if !Organization.isValid(slug: slug) {
            problem = BillingProblem("org_slug \(quoted(slug)) is no valid slug", isPermanent: true)
        } else if !Self.types.contains(type) {
            problem = BillingProblem("sync_type \(quoted(type)) is not known", isPermanent: true)
        }
        if retries > maxRetries {
            problem = BillingProblem("its executions ended without finishing it", isPermanent: true)
        }
    }

    var isOfWholeAccount: Bool { type == Self.fullType && slug == Self.wholeAccount }

    /// As the audit of its change has it.
    var reason: String { why.map { "\(type): \($0)" } ?? type }

    /// As messages name it.
    var name: String { "\(quoted(slug)) (\(printable(type)), sync \(printable(id)))" }
}

/// Where in Stripe to look, from a payload.
struct StripeHints: Hashable, Sendable {
    var subscription: String?
    var customer: String?

    init() {}

    /// Reads `subscription_id` and `customer_id`, with or without `stripe_` before and `_id` after, from the payload or from
    /// the object of Stripe's that it is or has, such as an event's. An object counts by its id. What cannot be read says
    /// nothing: the organization is known without it.
    init(payload: String?) {
        guard let payload, let members = JSONValue.members(of: Data(payload.utf8)) else { return }
        let object = members["data"]?.object?["object"]?.object
        for members in [members, object].compactMap({ $0 }) {
            subscription = subscription ?? Self.id("subscription", prefix: "sub_", members)
            customer = customer ?? Self.id("customer", prefix: "cus_", members)
        }
    }

    private static func id(_ name: String, prefix: String, _ members: [String: JSONValue]) -> String? {
        // A payload may be the subscription or the customer itself.
        ["stripe_\(name)_id", "\(name)_id", name, "id"].lazy.compactMap { key -> String? in
            guard let value = members[key], let id = value.text ?? value.object?["id"]?.text else { return nil }
            let isID = id.hasPrefix(prefix) && id.utf8.count <= 255 && id.utf8.allSatisfy(\.isWordCharacter)
            return isID ? id : nil
        }.first
    }
}

extension Row {
    /// A JSON column's text.
    fileprivate func payload(_ column: String) throws -> String? {
        switch self[column] {
        case .json(let text)?, .string(let text)?: text
        case nil, .null?: nil
        case let other?:
            throw WarehouseError(
                .unexpectedResult, operation: "read the queue",
                message: "column \(column) is \(other.type.text), not JSON")
        }
    }
}

/// How a claimed item ends.
struct SyncOutcome: Sendable {
    enum Ending: String, Sendable {
        case completed
        /// Tried again later.
        case pending
        /// Given up; the item stays until somebody requeues it.
        case failed
    }

    var id: String
    var ending: Ending
    var retries: Int64
    var nextRetry: Timestamp?
    var error: String?

    static func completed(_ item: QueuedSync) -> SyncOutcome {
        SyncOutcome(id: item.id, ending: .completed, retries: item.retries)
    }

    /// It was no try: somebody else is at work.
    static func waiting(_ item: QueuedSync, _ reason: String, until time: Timestamp) -> SyncOutcome {
        SyncOutcome(id: item.id, ending: .pending, retries: item.retries, nextRetry: time, error: reason)
    }

    /// After a failed try: again in 1, 2, 4, 8 and 16 minutes, up to a fifth later, until the retries are used up.
    static func failedTry(
        _ item: QueuedSync, _ problem: BillingProblem, at now: Timestamp, jitter: Double
    ) -> SyncOutcome {
        if problem.isPermanent || item.retries >= item.maxRetries {
            return SyncOutcome(id: item.id, ending: .failed, retries: item.retries, error: problem.description)
        }
        let delay = Duration.seconds(60 << min(item.retries, 10)) * (1 + jitter / 5)
        return SyncOutcome(
            id: item.id, ending: .pending, retries: item.retries + 1, nextRetry: now.adding(delay),
            error: problem.description)
    }

    /// The element of the statement's parameter `outcomes`.
    var parameter: SQLValue {
        .structure([
            SQLValue.Field("sync_id", .string(id)), SQLValue.Field("status", .string(ending.rawValue)),
            SQLValue.Field("retry_count", .int64(retries)),
            SQLValue.Field("next_retry_at", nextRetry.map { .timestamp($0) } ?? .null(.timestamp)),
            SQLValue.Field("last_error", error.map { .string(String($0.prefix(1000))) } ?? .null(.string)),
        ])
    }
}
