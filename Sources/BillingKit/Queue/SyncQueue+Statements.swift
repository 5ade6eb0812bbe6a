import Warehouse
import WarehouseKit

extension SyncQueue {
    private static let table = BillingTables.queue.sql

    /// The token of an item that was claimed alone begins so.
    static let aloneMark = "alone-"

    private static let isPending = "status = 'pending' AND (next_retry_at IS NULL OR next_retry_at <= @now)"
    /// Its execution died.
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
