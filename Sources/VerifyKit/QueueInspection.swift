import JobRuntime
import Warehouse

/// The queue of billing syncs, and the cursor of Stripe's events.
///
/// An item is stuck if it is due, or its claim expired, more than an hour ago. A backlog takes its time: a run claims 100 due items
/// every five minutes, and ten whose execution died. So the hour grows with the items that wait, at half of that rate.
///
/// A failed item is no finding: it waits for an operator, whom the run that gave it up has told.
enum QueueInspection {
    static let items = Invariant(
        "queue-items", command: "./scripts/run-job.sh ENVIRONMENT billing-sync-retry -- --stats")
    static let stuck = Invariant(
        "queue-stuck", command: "./scripts/run-job.sh ENVIRONMENT billing-sync-retry -- --stats")
    static let cursor = Invariant(
        "event-cursor", command: "./scripts/run-job.sh ENVIRONMENT billing-sync-retry -- --stats")

    private static let patienceSeconds = 3600
    private static let clockSkewSeconds = 300
    /// The greatest value of `ITEM_LEASE_SECONDS`, and the longest wait for a retry with room to spare.
    private static let (longestClaimSeconds, longestWaitSeconds) = (86_400, 7200)
    /// The reconciliation of every night closes a gap.
    private static let longestGapSeconds = 26 * 3600

    static let statement = InspectionStatement(
        purpose: "check the queue of billing syncs", invariants: [items, stuck],
        tables: """
            queue AS (
              SELECT
                sync_id, org_slug, sync_type, status, retry_count, max_retries, next_retry_at, lease_token,
                lease_expires_at, last_error, created_at, updated_at, completed_at,
                GREATEST(IFNULL(next_retry_at, updated_at), updated_at) AS due_at
              FROM `scheduler_jobs.billing_sync_queue` \(InspectionStatement.asOf)),
            known AS (
              SELECT org_slug FROM `organizations.org_profiles` \(InspectionStatement.asOf)
              UNION ALL
              SELECT org_slug FROM `organizations.org_subscriptions` \(InspectionStatement.asOf)),
            backlog AS (
              SELECT COUNT(IF(status = 'pending', 1, NULL)) AS pending, COUNT(IF(status = 'processing', 1, NULL)) AS claimed
              FROM queue)
            """,
        findings: [
            InspectionSQL.rows(items, of: "queue", subject: "sync_id", cases: itemCases),
            InspectionSQL.repeated(items, in: "queue", key: "sync_id"),
            """
            SELECT '\(items.name)', q.sync_id, 'there is no organization ' || q.org_slug, 1
            FROM queue AS q
            WHERE q.status IN ('pending', 'processing') AND q.sync_type != 'full_reconciliation'
              AND NOT EXISTS (SELECT 1 FROM known AS k WHERE k.org_slug = q.org_slug)
            """,
            """
            SELECT
              '\(stuck.name)', q.sync_id, q.org_slug || ' is due since ' || CAST(q.due_at AS STRING),
              DIV(\(InspectionSQL.microseconds(from: "q.due_at", to: "@instant")), 1000000)
            FROM queue AS q CROSS JOIN backlog AS b
            WHERE q.status = 'pending'
              AND \(InspectionSQL.microseconds(from: "q.due_at", to: "@instant")) > \(patienceSeconds)000000 + b.pending * 6000000
            """,
            """
            SELECT
              '\(stuck.name)', q.sync_id, q.org_slug || ' is claimed, and the claim expired at '
                || CAST(q.lease_expires_at AS STRING),
              DIV(\(InspectionSQL.microseconds(from: "q.lease_expires_at", to: "@instant")), 1000000)
            FROM queue AS q CROSS JOIN backlog AS b
            WHERE q.status = 'processing'
              AND \(InspectionSQL.microseconds(from: "q.lease_expires_at", to: "@instant"))
                > \(patienceSeconds)000000 + b.claimed * 60000000
            """,
        ],
        read: [items.name: "queue", stuck.name: "queue"], parameters: { _ in [] })

    private static var itemCases: [(condition: String, reason: String)] {
        let types =
            "('plan_change', 'checkout', 'webhook', 'cancellation', 'reconciliation', 'event', 'full_reconciliation')"
        return [
            ("status NOT IN ('pending', 'processing', 'completed', 'failed')", "'has the status ' || status"),
            (
                "status IN ('pending', 'processing') AND sync_type NOT IN \(types)",
                "'has the unknown type ' || sync_type"
            ),
            (
                "status IN ('pending', 'processing') AND (org_slug = '*') != (sync_type = 'full_reconciliation')",
                "'is of type ' || sync_type || ' and of organization ' || org_slug"
            ),
            (
                "status = 'processing' AND next_retry_at > updated_at",
                "'was claimed before ' || CAST(next_retry_at AS STRING)"
            ),
            (
                "status = 'processing' AND (lease_token IS NULL OR lease_expires_at IS NULL)",
                "'is claimed without a token or an expiry'"
            ),
            (
                "status != 'processing' AND (lease_token IS NOT NULL OR lease_expires_at IS NOT NULL)",
                "'is ' || status || ', and still claimed'"
            ),
            (
                "(status = 'completed') != (completed_at IS NOT NULL)",
                "'is ' || status || ', and completed at ' || \(InspectionSQL.text("completed_at"))"
            ),
            ("status = 'failed' AND last_error IS NULL", "'has failed without an error'"),
            (
                "status IN ('completed', 'failed') AND next_retry_at IS NOT NULL",
                "'is ' || status || ', and waits until ' || CAST(next_retry_at AS STRING)"
            ),
            (
                "retry_count < 0 OR max_retries < 0 OR max_retries > 100 OR retry_count > max_retries + 1",
                "'has ' || CAST(retry_count AS STRING) || ' of ' || CAST(max_retries AS STRING) || ' retries'"
            ),
            (
                "created_at > updated_at OR completed_at < created_at",
                "'was queued at ' || CAST(created_at AS STRING) || ', and changed before'"
            ),
            (
                InspectionSQL.isLater(
                    "GREATEST(updated_at, IFNULL(completed_at, updated_at))", than: "@instant", by: clockSkewSeconds),
                "'was changed at ' || CAST(updated_at AS STRING) || ', which is to come'"
            ),
            (
                "status = 'pending' AND \(InspectionSQL.isLater("next_retry_at", than: "updated_at", by: longestWaitSeconds))",
                "'waits until ' || CAST(next_retry_at AS STRING) || ', which is longer than any retry'"
            ),
            (
                "status = 'processing' AND \(InspectionSQL.isLater("lease_expires_at", than: "updated_at", by: longestClaimSeconds))",
                "'is claimed until ' || CAST(lease_expires_at AS STRING) || ', which is longer than any claim'"
            ),
        ]
    }

    /// billing-sync-retry advances the cursor every five minutes, to ten minutes before its run.
    static let cursorStatement = InspectionStatement(
        purpose: "check the cursor of Stripe's events", invariants: [cursor],
        tables: """
            cursors AS (
              SELECT read_to, gap_since, gap_recorded_at, updated_at
              FROM `scheduler_jobs.billing_event_cursor` \(InspectionStatement.asOf))
            """,
        findings: [
            InspectionSQL.rows(
                cursor, of: "cursors", subject: "'the cursor'",
                cases: [
                    (
                        "read_to > updated_at OR \(InspectionSQL.isLater("updated_at", than: "@instant", by: clockSkewSeconds))",
                        "'was read to ' || CAST(read_to AS STRING) || ' and written at ' || CAST(updated_at AS STRING)"
                    ),
                    (
                        InspectionSQL.isLater("@instant", than: "read_to", by: patienceSeconds),
                        "'events were read to ' || CAST(read_to AS STRING) || ' only'"
                    ),
                    (
                        "gap_since IS NOT NULL AND (gap_recorded_at IS NULL OR gap_since > gap_recorded_at)",
                        "'has a gap since ' || CAST(gap_since AS STRING) || ' that was recorded at ' || \(InspectionSQL.text("gap_recorded_at"))"
                    ),
                    ("gap_recorded_at > updated_at", "'has a gap that is to come'"),
                    (
                        InspectionSQL.isLater("@instant", than: "gap_recorded_at", by: longestGapSeconds),
                        "'has a gap since ' || CAST(gap_recorded_at AS STRING) || ', and no reconciliation closed it'"
                    ),
                ])
        ], read: [cursor.name: "cursors"], parameters: { _ in [] })
}
