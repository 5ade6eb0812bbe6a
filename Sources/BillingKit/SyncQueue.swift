import FoundationEssentials
package import JobRuntime
package import Warehouse
import WarehouseKit

/// The queue of organizations to look up, `scheduler_jobs.billing_sync_queue`.
///
/// An item is claimed by one conditional UPDATE that gives it a token and an expiry. If two executions claim at the same time,
/// BigQuery lets one go first, and the other finds what is left. Only the owner of the token can finish the item.
///
/// If an execution dies, its items are abandoned when their claim expires. Each of them may have killed the execution, so from
/// then on it is claimed alone. Only a claim of that kind that expires too counts as a retry: an item that kills its executions
/// is given up some day, and an item that only shared an execution with it never is.
struct SyncQueue: Sendable {
    enum Claim: Sendable {
        /// Up to so many items that are due.
        case pending(Int)
        /// One item whose execution died.
        case oneAbandoned

        /// The token records whether the item was claimed alone, in case the claim expires.
        func newToken() -> String {
            let token = SyncQueue.newID()
            return if case .oneAbandoned = self { SyncQueue.aloneMark + token } else { token }
        }
    }

    let warehouse: MeteredWarehouse
    let now: @Sendable () -> Timestamp

    static func newID() -> String { UUID().uuidString.lowercased() }

    func countDue() async throws -> DueSyncs {
        try DueSyncs(
            try await warehouse.row(
                Statement("count the due syncs", Self.countDueSQL, parameters: ["now": .timestamp(now())])))
    }

    /// Claims due items, the oldest first. The claimed items are read back, since the UPDATE's own count may be wrong: a reply
    /// that was lost and came again may say 0.
    func claim(_ claim: Claim, token: String, lease: Duration) async throws -> [QueuedSync] {
        let now = now()
        let (sql, limit) =
            switch claim {
            case .pending(let limit): (Self.claimPendingSQL, limit)
            case .oneAbandoned: (Self.claimAbandonedSQL, 1)
            }
        _ = try await warehouse.query(
            Statement(
                "claim queued syncs", sql,
                parameters: [
                    "token": .string(token), "now": .timestamp(now), "expires_at": .timestamp(now.adding(lease)),
                    "limit": .int64(Int64(limit)),
                ]))
        return try await warehouse.query(
            Statement("read the claimed syncs", Self.claimedSQL, parameters: ["token": .string(token)])
        ).rows.map { try QueuedSync($0) }
    }

    /// The items that would be claimed, without claiming them.
    func due(_ limit: Int) async throws -> [QueuedSync] {
        try await warehouse.query(
            Statement(
                "read the due syncs", Self.dueSQL,
                parameters: ["now": .timestamp(now()), "limit": .int64(Int64(limit))])
        ).rows.map { try QueuedSync($0) }
    }

    /// Finishes the items that are still claimed with this token; the others were finished or claimed by somebody else.
    func finish(_ outcomes: [SyncOutcome], token: String) async throws {
        guard let first = outcomes.first else { return }
        _ = try await warehouse.query(
            Statement(
                "finish \(outcomes.count) queued syncs", Self.finishSQL,
                parameters: [
                    "outcomes": .array(of: first.parameter.type, outcomes.map(\.parameter)), "token": .string(token),
                    "now": .timestamp(now()),
                ]))
    }

    /// Releases every item that is claimed with this token, as if it had not been claimed.
    func release(token: String) async throws {
        _ = try await warehouse.query(
            Statement(
                "release the claimed syncs", Self.releaseSQL,
                parameters: ["token": .string(token), "now": .timestamp(now())]))
    }

    /// Queues organizations, except those that are waiting already.
    /// - Returns: How many were added.
    func add(_ slugs: [String]) async throws -> Int {
        guard !slugs.isEmpty else { return 0 }
        let items = slugs.map { slug in
            SQLValue.structure([
                SQLValue.Field("sync_id", .string(Self.newID())),
                SQLValue.Field("org_slug", .string(slug)),
            ])
        }
        let result = try await warehouse.query(
            Statement(
                "queue \(slugs.count) organizations", Self.addSQL,
                parameters: ["items": .array(of: items[0].type, items), "now": .timestamp(now())]))
        return try affectedRows(of: result, "queue organizations")
    }

    /// - Returns: `false` if the warehouse has no such organization.
    func knows(_ slug: String) async throws -> Bool {
        let row = try await warehouse.row(
            Statement("look for the organization", Self.knowsSQL, parameters: ["org_slug": .string(slug)]))
        return try row.int64("places") > 0
    }

    /// Queues one organization, also where it is waiting already.
    func enqueue(_ slug: String, why: String?) async throws {
        let payload = why.map { JSONValue.object([("why", .string($0))]).description }
        _ = try await warehouse.query(
            Statement(
                "queue an organization", Self.enqueueSQL,
                parameters: [
                    "sync_id": .string(Self.newID()), "org_slug": .string(slug),
                    "payload": payload.map { .string($0) } ?? .null(.string), "now": .timestamp(now()),
                ]))
    }

    /// Queues organizations as items that this execution has claimed already.
    func addClaimed(_ slugs: [String], token: String, lease: Duration) async throws -> [QueuedSync] {
        guard !slugs.isEmpty else { return [] }
        let now = now()
        let items = slugs.map { QueuedSync(id: Self.newID(), slug: $0) }
        let elements = items.map { item in
            SQLValue.structure([
                SQLValue.Field("sync_id", .string(item.id)), SQLValue.Field("org_slug", .string(item.slug)),
            ])
        }
        _ = try await warehouse.query(
            Statement(
                "queue \(slugs.count) organizations that lost their subscription", Self.addClaimedSQL,
                parameters: [
                    "items": .array(of: elements[0].type, elements), "token": .string(token), "now": .timestamp(now),
                    "expires_at": .timestamp(now.adding(lease)),
                ]))
        return items
    }

    /// Puts a failed item back into the queue with all of its retries; without an id, all failed items.
    /// - Returns: The number of items.
    func requeue(_ id: String?, isDryRun: Bool) async throws -> Int {
        let parameters: KeyValuePairs<String, SQLValue> = ["sync_id": .string(id ?? ""), "now": .timestamp(now())]
        if isDryRun {
            let row = try await warehouse.row(
                Statement("count the failed syncs", Self.countFailedSQL, parameters: parameters))
            return Int(try row.int64("failed"))
        }
        let result = try await warehouse.query(
            Statement("requeue failed syncs", Self.requeueSQL, parameters: parameters))
        return try affectedRows(of: result, "requeue failed syncs")
    }

    /// The state of the queue; `today` is the day of `completed_today`.
    func statistics(of today: CivilDate) async throws -> Row {
        try await warehouse.row(
            Statement(
                "count the queue", Self.statisticsSQL,
                parameters: [
                    "day_start": .timestamp(Timestamp(startOf: today)),
                    "day_end": .timestamp(Timestamp(startOf: today.adding(days: 1))),
                ]))
    }

    private func affectedRows(of result: QueryResult, _ operation: String) throws -> Int {
        guard let count = result.affectedRows else {
            throw WarehouseError(
                .unexpectedResult, operation: operation, message: "the reply does not say how many rows changed")
        }
        return Int(count)
    }
}

/// How many items of the queue are due.
struct DueSyncs: Hashable, Sendable {
    var pending: Int
    /// Their executions died.
    var abandoned: Int

    init(_ row: Row) throws {
        pending = Int(try row.int64("pending"))
        abandoned = Int(try row.int64("abandoned"))
    }
}

extension MeteredWarehouse {
    /// The one row of an aggregate. A reply without it is no reply of zero.
    func row(_ statement: Statement) async throws -> Row {
        guard let row = try await query(statement).rows.first else {
            throw WarehouseError(.unexpectedResult, operation: statement.purpose, message: "the result has no row")
        }
        return row
    }
}

extension SyncQueue {
    private static let table = BillingTables.queue.sql

    /// The token of an item that was claimed alone begins with this.
    static let aloneMark = "alone-"

    private static let isPending = "status = 'pending' AND (next_retry_at IS NULL OR next_retry_at <= @now)"
    /// The execution of the item died.
    private static let isAbandoned = "status = 'processing' AND (lease_expires_at IS NULL OR lease_expires_at <= @now)"

    static let countDueSQL = """
        SELECT COUNTIF(\(isPending)) AS pending, COUNTIF(\(isAbandoned)) AS abandoned FROM \(table)
        """
    static let claimPendingSQL = claimSQL(isPending)
    static let claimAbandonedSQL = claimSQL(isAbandoned)

    private static func claimSQL(_ isDue: String) -> String {
        """
        UPDATE \(table)
        SET
          retry_count = IF(status = 'processing' AND lease_token LIKE '\(aloneMark)%', retry_count + 1, retry_count),
          status = 'processing', lease_token = @token, lease_expires_at = @expires_at, updated_at = @now
        WHERE sync_id IN (
            SELECT sync_id FROM \(table)
            WHERE \(isDue)
            ORDER BY created_at, sync_id
            LIMIT @limit)
          AND \(isDue)
        """
    }

    static let claimedSQL = """
        SELECT sync_id, org_slug, sync_type, payload, retry_count, max_retries FROM \(table)
        WHERE lease_token = @token AND status = 'processing'
        ORDER BY created_at, sync_id
        """
    static let dueSQL = """
        SELECT sync_id, org_slug, sync_type, payload, retry_count, max_retries FROM \(table)
        WHERE (\(isPending)) OR (\(isAbandoned))
        ORDER BY created_at, sync_id
        LIMIT @limit
        """
    static let finishSQL = """
        UPDATE \(table) AS t
        SET
          status = o.status, retry_count = o.retry_count, next_retry_at = o.next_retry_at, last_error = o.last_error,
          lease_token = NULL, lease_expires_at = NULL, updated_at = @now,
          completed_at = IF(o.status = 'completed', @now, t.completed_at)
        FROM UNNEST(@outcomes) AS o
        WHERE t.sync_id = o.sync_id AND t.lease_token = @token AND t.status = 'processing'
        """
    static let releaseSQL = """
        UPDATE \(table) SET status = 'pending', lease_token = NULL, lease_expires_at = NULL, updated_at = @now
        WHERE lease_token = @token AND status = 'processing'
        """
    static let addSQL = """
        INSERT INTO \(table) (
          sync_id, org_slug, sync_type, status, retry_count, max_retries, created_at, updated_at)
        SELECT i.sync_id, i.org_slug, 'reconciliation', 'pending', 0, 5, @now, @now
        FROM UNNEST(@items) AS i
        WHERE i.org_slug NOT IN (SELECT waiting.org_slug FROM \(table) AS waiting WHERE waiting.status = 'pending')
        """
    static let knowsSQL = """
        SELECT COUNT(*) AS places FROM (
          SELECT org_slug FROM \(BillingTables.profiles.sql) WHERE org_slug = @org_slug
          UNION ALL
          SELECT org_slug FROM \(BillingTables.subscriptions.sql) WHERE org_slug = @org_slug) AS o
        """
    static let enqueueSQL = """
        INSERT INTO \(table) (
          sync_id, org_slug, sync_type, payload, status, retry_count, max_retries, created_at, updated_at)
        SELECT @sync_id, @org_slug, 'plan_change', PARSE_JSON(@payload), 'pending', 0, 5, @now, @now
        FROM (SELECT 1 AS one) AS o
        WHERE @sync_id NOT IN (SELECT known.sync_id FROM \(table) AS known)
        """
    static let addClaimedSQL = """
        INSERT INTO \(table) (
          sync_id, org_slug, sync_type, status, retry_count, max_retries, lease_token, lease_expires_at, created_at,
          updated_at)
        SELECT i.sync_id, i.org_slug, 'reconciliation', 'processing', 0, 5, @token, @expires_at, @now, @now
        FROM UNNEST(@items) AS i
        WHERE i.sync_id NOT IN (SELECT known.sync_id FROM \(table) AS known)
        """
    static let countFailedSQL = """
        SELECT COUNT(*) AS failed FROM \(table) WHERE status = 'failed' AND (@sync_id = '' OR sync_id = @sync_id)
        """
    static let requeueSQL = """
        UPDATE \(table)
        SET
          status = 'pending', retry_count = 0, next_retry_at = NULL, lease_token = NULL, lease_expires_at = NULL,
          updated_at = @now
        WHERE status = 'failed' AND (@sync_id = '' OR sync_id = @sync_id)
        """
    static let statisticsSQL = """
        SELECT
          COUNTIF(status = 'pending') AS pending, COUNTIF(status = 'processing') AS processing,
          COUNTIF(status = 'failed') AS failed,
          COUNTIF(status = 'completed' AND completed_at >= @day_start AND completed_at < @day_end) AS completed_today,
          MIN(IF(status = 'pending', created_at, NULL)) AS oldest_pending
        FROM \(table)
        """
}

/// The queue for operators: its statistics, and another try for failed items.
package struct QueueUpkeep: Sendable {
    private let queue: SyncQueue
    private let report: RunReport
    private let isDryRun: Bool

    package init(
        warehouse: any SQLWarehouse, report: RunReport, isDryRun: Bool = false,
        now: @escaping @Sendable () -> Timestamp = Timestamp.wallClock
    ) {
        queue = SyncQueue(warehouse: MeteredWarehouse(warehouse, report), now: now)
        self.report = report
        self.isDryRun = isDryRun
    }

    /// Prints the number of items in each state, and the time since when the oldest one waits.
    package func printStatistics(of today: CivilDate) async throws {
        let statistics = try await queue.statistics(of: today)
        let counts = try ["pending", "processing", "failed", "completed_today"].map {
            (name: $0, count: Int(try statistics.int64($0)))
        }
        let oldest = try statistics.optionalTimestamp("oldest_pending")?.description
        let events = try await events()
        for (name, count) in counts {
            report.declare(counts: name)
            report.add(count, to: name)
        }
        report.table(
            header: ["queue", ""],
            rows: counts.map { [$0.name.split(separator: "_").joined(separator: " "), String($0.count)] } + [
                ["oldest pending", oldest ?? "-"], ["Stripe's events", events],
            ])
        report.attach("oldest_pending", oldest.map { .string($0) } ?? .null)
        report.attach("events", .string(events))
    }

    private func events() async throws -> String {
        do {
            return try await EventCursor(warehouse: queue.warehouse, now: queue.now).read().words
        } catch let error as WarehouseError where error.isOfMissingCursor {
            return "not read before bootstrap has created billing_event_cursor"
        }
    }

    /// Puts an organization into the queue.
    ///
    /// - Parameter why: Stands in the audit of what the item changes.
    package func enqueue(_ slug: String, why: String?) async throws {
        report.declare(counts: "queued")
        guard try await queue.knows(slug) else { return report.fail(quoted(slug), "there is no such organization") }
        if !isDryRun { try await queue.enqueue(slug, why: why) }
        report.add(1, to: "queued")
        report.line("\(slug) \(isDryRun ? "would be" : "is") queued")
    }

    /// - Parameter choice: The id of an item, or `all`.
    package func requeue(_ choice: String) async throws {
        report.declare(counts: "requeued")
        let count = try await queue.requeue(choice == "all" ? nil : choice, isDryRun: isDryRun)
        report.add(count, to: "requeued")
        guard count == 0 else { return report.line("\(count) \(isDryRun ? "would be tried" : "are tried") again") }
        if choice == "all" { return report.line("nothing has failed") }
        report.fail(quoted(choice), "no failed sync has this id")
    }
}
