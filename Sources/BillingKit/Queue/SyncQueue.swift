import FoundationEssentials
import JobRuntime
import Warehouse
import WarehouseKit

/// The queue of organizations to look up, `scheduler_jobs.billing_sync_queue`.
///
/// An item is claimed by one conditional UPDATE that gives it a token and an expiry; of two executions at the same time BigQuery
/// lets one go first, and the other finds what is left. Only who has the token may finish the item.
///
/// One whose execution died is abandoned when its claim expires. It may be what killed the execution, so from then on it is
/// claimed alone, and such a claim that expires too counts as a retry: an item that kills its execution is given up some day,
/// and one that only shared an execution with it never is.
struct SyncQueue: Sendable {
    enum Claim: Sendable {
        /// Up to so many whose time has come.
        case pending(Int)
        /// One whose execution died.
        case oneAbandoned

        /// The token says whether the item was claimed alone, for when the claim expires.
        func newToken() -> String {
            let token = UUID().uuidString.lowercased()
            return if case .oneAbandoned = self { SyncQueue.aloneMark + token } else { token }
        }
    }

    let warehouse: MeteredWarehouse
    let now: @Sendable () -> Timestamp

    func countDue() async throws -> (pending: Int, abandoned: Int) {
        let rows = try await warehouse.query(
            Statement("count the due syncs", Self.countDueSQL, parameters: ["now": .timestamp(now())])
        ).rows
        return (Int(try rows.first?.int64("pending") ?? 0), Int(try rows.first?.int64("abandoned") ?? 0))
    }

    /// Claims due items, the oldest first. The number of rows that the UPDATE says is not asked: a reply that was lost and came
    /// again may say 0.
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

    /// What would be claimed, without claiming it.
    func due(_ limit: Int) async throws -> [QueuedSync] {
        try await warehouse.query(
            Statement(
                "read the due syncs", Self.dueSQL,
                parameters: ["now": .timestamp(now()), "limit": .int64(Int64(limit))])
        ).rows.map { try QueuedSync($0) }
    }

    /// Those that are claimed with this token still; the others have been finished or claimed by somebody else.
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

    /// Gives everything that is claimed with this token back, as if it had not been claimed.
    func release(token: String) async throws {
        _ = try await warehouse.query(
            Statement(
                "release the claimed syncs", Self.releaseSQL,
                parameters: ["token": .string(token), "now": .timestamp(now())]))
    }

    /// Queues organizations for another look, except those that wait for one already.
    /// - Returns: How many were added.
    func add(_ slugs: [String]) async throws -> Int {
        guard !slugs.isEmpty else { return 0 }
        let items = slugs.map { slug in
            SQLValue.structure([
                SQLValue.Field("sync_id", .string(UUID().uuidString.lowercased())),
                SQLValue.Field("org_slug", .string(slug)),
            ])
        }
        let result = try await warehouse.query(
            Statement(
                "queue \(slugs.count) organizations", Self.addSQL,
                parameters: ["items": .array(of: items[0].type, items), "now": .timestamp(now())]))
        return Int(result.affectedRows ?? 0)
    }

    /// Puts failed items back into the queue, with all of their retries. Without an id: all of them.
    /// - Returns: How many there were.
    func requeue(_ id: String?, isDryRun: Bool) async throws -> Int {
        let parameters: KeyValuePairs<String, SQLValue> = ["sync_id": .string(id ?? ""), "now": .timestamp(now())]
        if isDryRun {
            let result = try await warehouse.query(
                Statement("count the failed syncs", Self.countFailedSQL, parameters: parameters))
            return Int(try result.rows.first?.int64("failed") ?? 0)
        }
        let result = try await warehouse.query(
            Statement("requeue failed syncs", Self.requeueSQL, parameters: parameters))
        return Int(result.affectedRows ?? 0)
    }

    func statistics(of today: CivilDate) async throws -> SyncStatistics {
        let result = try await warehouse.query(
            Statement(
                "count the queue", Self.statisticsSQL,
                parameters: [
                    "day_start": .timestamp(Timestamp(startOf: today)),
                    "day_end": .timestamp(Timestamp(startOf: today.adding(days: 1))),
                ]))
        return try SyncStatistics(result.rows)
    }
}
