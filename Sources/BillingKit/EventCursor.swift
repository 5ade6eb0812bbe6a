import JobRuntime
import Warehouse
import WarehouseKit

/// How far Stripe's events were read: the row of `scheduler_jobs.billing_event_cursor`.
///
/// ## What "complete to T" means
///
/// Each change of a subscription or a plan that Stripe made up to T is in the warehouse, or its organization has an item in the
/// queue that waits, is at work, or has failed. A gap takes that statement back until a reconciliation of the whole account,
/// which began after the gap was recorded, ended without a failure.
///
/// - Organizations are queued and `read_to` advances in one transaction, so no killed run advances it alone.
/// - `read_to` only grows. Two executions that read the same events at the same time queue the same organizations.
/// - An event becomes visible within ``EventFeed/overlap`` of its time. That, and clocks that differ by less, is assumed: Stripe
///   documents no such limit.
/// - Two first runs at the same time may insert a row each. The least of both counts, and both are updated from then on.
struct EventCursor: Sendable {
    struct State: Hashable, Sendable {
        /// `nil` before the first run.
        var readTo: Timestamp?
        var gap: Gap?

        /// Such as `complete to 2026-03-15T02:00:00Z`.
        var words: String {
            guard let readTo else { return "nothing was read yet" }
            guard let gap else { return "complete to \(readTo)" }
            return gap.since.map { "gap since \($0)" } ?? "gap since the beginning"
        }
    }

    /// Events of this time may have been missed.
    struct Gap: Hashable, Sendable {
        /// `nil`: since ever.
        var since: Timestamp?
        var recordedAt: Timestamp
    }

    /// An organization that an event names.
    struct Naming: Hashable, Sendable {
        var slug: String
        var type: String
        /// An item that was queued after this time leads to a reading that shows the event.
        var knownAfter: Timestamp
    }

    let warehouse: MeteredWarehouse
    let now: @Sendable () -> Timestamp

    /// - Throws: ``WarehouseError`` with ``Warehouse/WarehouseError/isOfMissingCursor`` where `bootstrap` has not created the table.
    func read() async throws -> State {
        let row = try await warehouse.row(Statement("read the cursor of Stripe's events", Self.readSQL))
        guard let readTo = try row.optionalTimestamp("read_to") else { return State() }
        let gap = try row.optionalTimestamp("gap_recorded_at").map {
            Gap(since: try row.optionalTimestamp("open_since"), recordedAt: $0)
        }
        return State(readTo: readTo, gap: gap)
    }

    /// Queues organizations and advances the cursor, in one transaction. An organization that has an item which leads to a later
    /// reading than its event gets no second one.
    ///
    /// - Parameter gap: Record that events since then were missed, as of now. An earlier gap stays.
    /// - Returns: The due items afterward.
    func advance(
        to readTo: Timestamp, queueing named: [Naming], gap: Gap? = nil
    ) async throws -> DueSyncs {
        let items = named.map { naming in
            SQLValue.structure([
                SQLValue.Field("sync_id", .string(SyncQueue.newID())), SQLValue.Field("org_slug", .string(naming.slug)),
                SQLValue.Field("sync_type", .string(naming.type)),
                SQLValue.Field("known_after", .timestamp(naming.knownAfter)),
            ])
        }
        let row = try await warehouse.row(
            Statement(
                "queue \(named.count) organizations that Stripe's events name", Self.advanceSQL,
                parameters: [
                    "items": .array(of: Self.itemType, items), "read_to": .timestamp(readTo),
                    "is_gap": .bool(gap != nil),
                    "gap_since": (gap?.since).map { .timestamp($0) } ?? .null(.timestamp), "now": .timestamp(now()),
                ]))
        return try DueSyncs(row)
    }

    /// Closes a gap that was recorded before a complete reconciliation began.
    /// - Returns: `false` if there is no such gap.
    func close(beganAt: Timestamp) async throws -> Bool {
        let result = try await warehouse.query(
            Statement(
                "close the gap in Stripe's events", Self.closeSQL,
                parameters: ["began_at": .timestamp(beganAt), "now": .timestamp(now())]))
        return (result.affectedRows ?? 0) > 0
    }
}

extension WarehouseError {
    /// The cursor has no table yet. An account with roles on tables only is denied access to a table that is not there, and to a
    /// new table until create-all-jobs.sh has bound its role.
    var isOfMissingCursor: Bool { code == .notFound || code == .accessDenied }
}

extension EventCursor {
    private static let table = BillingTables.eventCursor.sql

    private static let itemType = SQLValue.structure([
        SQLValue.Field("sync_id", .string("")), SQLValue.Field("org_slug", .string("")),
        SQLValue.Field("sync_type", .string("")), SQLValue.Field("known_after", .timestamp(StoredBilling.never)),
    ]).type

    /// A gap since ever has no `gap_since`, and of two rows it counts.
    static let readSQL = """
        SELECT
          MIN(read_to) AS read_to, MAX(gap_recorded_at) AS gap_recorded_at,
          IF(COUNTIF(gap_recorded_at IS NOT NULL AND gap_since IS NULL) > 0, NULL, MIN(gap_since)) AS open_since
        FROM \(table)
        """

    static let advanceSQL = """
        BEGIN TRANSACTION;

        INSERT INTO \(BillingTables.queue.sql) (
          sync_id, org_slug, sync_type, status, retry_count, max_retries, created_at, updated_at)
        SELECT i.sync_id, i.org_slug, i.sync_type, 'pending', 0, 5, @now, @now
        FROM UNNEST(@items) AS i
        WHERE i.sync_id NOT IN (
          SELECT j.sync_id
          FROM UNNEST(@items) AS j
          JOIN \(BillingTables.queue.sql) AS known
          ON known.org_slug = j.org_slug
          WHERE known.status = 'pending' OR known.created_at > j.known_after);

        INSERT INTO \(table) (read_to, updated_at)
        SELECT @read_to, @now
        FROM (SELECT 1 AS one) AS o
        WHERE (SELECT COUNT(*) FROM \(table)) = 0;

        UPDATE \(table)
        SET
          read_to = GREATEST(read_to, @read_to),
          gap_since = IF(@is_gap AND gap_recorded_at IS NULL, @gap_since, gap_since),
          gap_recorded_at = IF(@is_gap, @now, gap_recorded_at), updated_at = @now
        WHERE TRUE;

        COMMIT TRANSACTION;

        \(SyncQueue.countDueSQL);
        """

    static let closeSQL = """
        UPDATE \(table)
        SET gap_since = NULL, gap_recorded_at = NULL, updated_at = @now
        WHERE gap_recorded_at < @began_at
        """
}
