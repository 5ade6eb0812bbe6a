import JobRuntime
import Warehouse
import WarehouseKit

/// Writes changes: the subscription's row, today's limits, the plan in the profile and the audit, for each organization all of
/// them or none.
///
/// ## Why an older read never overwrites a newer one, and each change is audited once
///
/// 1. A row's version is its `stripe_read_at`: the end of the reading that it was written for. A change names the version that
///    it was compared with, and its own reading began after that version (`version < read_from`). All of its statements apply
///    only while the row still has that version, and the last one gives it the version `read_until`, which is later. So a
///    row's versions only grow, each is left at most once, and every write rests on a reading that began after the reading
///    before it had ended.
/// 2. The statements are one transaction, or one statement where only the time of the reading is written. Run again, be it
///    after a lost reply, as a new job or by another execution that found the same difference, they find another version and
///    change nothing, so nothing is audited either.
/// 3. Two such transactions at the same time both update `org_subscriptions`, and of two transactions that change rows of one
///    table BigQuery lets only one commit; this holds for a new row too, which is inserted and then updated. SQLite runs one
///    write transaction at a time.
/// 4. The audit's id names the row and the version that the change made, and an id that is there is not inserted again.
struct BillingWriter: Sendable {
    /// A request may have 10 MB, and a change takes up to 2 KB of it.
    static let mostChanges = 1000

    let warehouse: MeteredWarehouse
    let today: CivilDate
    let now: @Sendable () -> Timestamp

    /// - Parameter claim: The token of a claim on queued syncs: what was claimed by somebody else meanwhile is not written.
    /// - Returns: The organizations whose rows have the versions of their changes now. The others were changed meanwhile.
    func apply(_ changes: some Collection<BillingChange>, claim: String = "") async throws -> Set<String> {
        guard let statement = statement(changes, claim: claim) else { return [] }
        return Set(try await warehouse.query(statement).rows.map { try $0.string("org_slug") })
    }

    func statement(_ changes: some Collection<BillingChange>, claim: String = "") -> Statement? {
        guard let first = changes.first else { return nil }
        let now = now()
        return Statement(
            "write the billing state of \(changes.count) organizations",
            changes.contains { !$0.differences.isEmpty } ? Self.script : Self.touchScript,
            parameters: [
                "changes": .array(of: first.parameter.type, changes.map(\.parameter)), "claim": .string(claim),
                "never": .timestamp(StoredBilling.never), "now": .timestamp(now), "today": .date(today),
                "audits_since": .timestamp(now.adding(.seconds(-86_400))),
            ])
    }

    private static let isClaimed = """
        (@claim = '' OR c.org_slug IN (
              SELECT claimed.org_slug FROM \(BillingTables.queue.sql) AS claimed
              WHERE claimed.lease_token = @claim AND claimed.status = 'processing'))
        """

    /// The changes whose row still has the version that they were compared with.
    static let current = """
        SELECT
            c.org_slug, c.subscription_id, c.differs, c.version, c.read_until, c.plan_name, c.status, c.daily_limit,
            c.monthly_limit, c.concurrent_limit, c.seat_limit, c.providers_limit, c.trial_end_date,
            c.subscription_end_date, c.stripe_customer_id, c.stripe_subscription_id, c.current_period_end,
            c.cancel_at_period_end, c.audit_id, c.details, c.request_id
          FROM UNNEST(@changes) AS c
          JOIN (
            SELECT DISTINCT org_slug, subscription_id, IFNULL(stripe_read_at, @never) AS version
            FROM \(BillingTables.subscriptions.sql)) AS s
          ON s.org_slug = c.org_slug AND s.subscription_id = c.subscription_id AND s.version = c.version
          WHERE c.version < c.read_from AND \(isClaimed)
        """

    static let script = """
        BEGIN TRANSACTION;

        INSERT INTO \(BillingTables.subscriptions.sql) (
          subscription_id, org_slug, plan_name, status, daily_limit, monthly_limit, concurrent_limit, created_at)
        SELECT
          c.subscription_id, c.org_slug, c.plan_name, c.status, c.daily_limit, c.monthly_limit, c.concurrent_limit, @now
        FROM UNNEST(@changes) AS c
        WHERE c.is_new AND \(isClaimed)
          AND c.org_slug NOT IN (SELECT known.org_slug FROM \(BillingTables.subscriptions.sql) AS known);

        INSERT INTO \(BillingTables.audits.sql) (
          audit_id, org_slug, action, resource_type, resource_id, details, user_agent, request_id, status, created_at)
        SELECT
          n.audit_id, n.org_slug, 'SYNC_SUBSCRIPTION', 'SUBSCRIPTION', n.subscription_id, PARSE_JSON(n.details),
          'scheduler-jobs', n.request_id, 'SUCCESS', @now
        FROM (\(current)) AS n
        WHERE n.differs AND n.audit_id NOT IN (
          SELECT known.audit_id FROM \(BillingTables.audits.sql) AS known WHERE known.created_at >= @audits_since);

        UPDATE \(BillingTables.quotas.sql) AS t
        SET
          daily_limit = n.daily_limit, monthly_limit = n.monthly_limit, concurrent_limit = n.concurrent_limit,
          seat_limit = n.seat_limit, providers_limit = n.providers_limit, last_updated = @now, updated_at = @now
        FROM (\(current)) AS n
        WHERE t.usage_date = @today AND t.org_slug = n.org_slug AND n.differs
          AND (
            t.daily_limit IS DISTINCT FROM n.daily_limit OR t.monthly_limit IS DISTINCT FROM n.monthly_limit
            OR t.concurrent_limit IS DISTINCT FROM n.concurrent_limit OR t.seat_limit IS DISTINCT FROM n.seat_limit
            OR t.providers_limit IS DISTINCT FROM n.providers_limit);

        UPDATE \(BillingTables.profiles.sql) AS t
        SET subscription_plan = n.plan_name, updated_at = @now
        FROM (\(current)) AS n
        WHERE t.org_slug = n.org_slug AND n.differs AND t.subscription_plan IS DISTINCT FROM n.plan_name;

        \(update)

        COMMIT TRANSACTION;

        \(written)
        """
}
