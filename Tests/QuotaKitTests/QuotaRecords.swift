import JobRuntime
import QuotaKit
import SchemaKit
import Warehouse
import WarehouseKit

/// A row of the run log, as far as the quota jobs know it.
struct LoggedRun: Hashable, Sendable {
    var id: String
    var slug: String
    var status: String
    var start: Timestamp
    var end: Timestamp?
    var durationMilliseconds: Int64?
    var error: String?

    init(_ id: String, _ slug: String, _ status: String, _ start: Timestamp) {
        self.id = id
        self.slug = slug
        self.status = status
        self.start = start
    }

    var isOpen: Bool { status == "PENDING" || status == "RUNNING" }
}

/// The five limits of a subscription; all follow from one number.
struct Limits: Hashable, Sendable {
    var daily: Int64

    var monthly: Int64 { daily * 30 }
    var concurrent: Int64 { daily / 2 }
    var seats: Int64? { daily % 3 == 0 ? nil : daily + 1 }
    var providers: Int64? { daily % 2 == 0 ? nil : daily + 2 }
}

struct Subscription: Hashable, Sendable {
    var id: String
    var slug: String
    var status = "ACTIVE"
    var limits: Limits
    var created: Timestamp
}

/// A row of `org_usage_quotas`, whole.
struct QuotaRow: Hashable, Sendable {
    var id: String
    var slug: String
    var date: CivilDate
    var daily: Int64 = 0
    var succeeded: Int64 = 0
    var failed: Int64 = 0
    var monthly: Int64 = 0
    var running: Int64 = 0
    var dailyLimit: Int64 = 0
    var monthlyLimit: Int64?
    var concurrentLimit: Int64?
    var seatLimit: Int64?
    var providersLimit: Int64?
    var highest: Int64?
    var lastUpdated: Timestamp
    var created: Timestamp
    var updated: Timestamp?

    init(id: String, slug: String, date: CivilDate, at instant: Timestamp) {
        self.id = id
        self.slug = slug
        self.date = date
        lastUpdated = instant
        created = instant
    }

    mutating func take(_ limits: Limits) {
        dailyLimit = limits.daily
        monthlyLimit = limits.monthly
        concurrentLimit = limits.concurrent
        seatLimit = limits.seats
        providersLimit = limits.providers
    }

    /// At least what is running at the moment.
    mutating func raiseHighest() {
        if highest ?? 0 < running { highest = running }
    }

    /// Whether every counter is at least as great as in another version of the row.
    func counts(atLeast other: QuotaRow) -> Bool {
        daily >= other.daily && succeeded >= other.succeeded && failed >= other.failed && monthly >= other.monthly
            && running >= other.running && highest ?? 0 >= other.highest ?? 0
    }

    /// A duplicate has the same organization and date, so the order takes everything else in.
    static func inOrder(_ rows: [QuotaRow]) -> [QuotaRow] {
        rows.sorted { ($0.slug, $0.date, $0.id, $0.created) < ($1.slug, $1.date, $1.id, $1.created) }
    }
}

/// A moment of a test, in RFC 3339.
func instant(_ text: String) -> Timestamp { Timestamp(text)! }
