import JobRuntime
import Warehouse
import WarehouseKit

/// Writes changes: the subscription's row, today's limits, the plan in the profile and the audit. For each organization all of
/// them are written, or none. After a write the row that counts is the only one that can be live: the organization's other
/// rows are cancelled.
///
/// ## Why an older read never overwrites a newer one, and each change is audited once
///
/// 1. A row's version is its `stripe_read_at`: the end of the reading that it was written for. A change names the version that
///    it was compared with, and its own reading began after that version (`version < read_from`). All of its statements apply
///    only while the row still has that version, and the last one gives it the version `read_until`, which is later. So a
///    row's versions only grow, each is left at most once, and every write rests on a reading that began after the reading
///    before it had ended.
/// 2. The statements are one transaction (fact BQ-13), or one statement where only the time of the reading is written. If they run again
///    (after a lost reply, as a new job, or by another execution that found the same difference), they find another version
///    and change nothing, so nothing is audited either.
/// 3. Two such transactions at the same time both update `org_subscriptions`, and of two transactions that change rows of one
///    table BigQuery lets only one commit (fact BQ-15). This holds for a new row too, which is inserted and then updated. SQLite runs one
///    write transaction at a time.
/// 4. The audit's id names the row and the version that the change made, and an id that is there is not inserted again.
struct BillingWriter: Sendable {
    /// The result of changes that were written in parts.
    struct Written: Sendable {
        /// The organizations whose rows have the versions of their changes now.
        var applied: Set<String> = []
        /// The organizations that still have a subscription stored that was written for another one.
        var formerOwners: Set<String> = []
        /// The organizations that the warehouse refuses, and why.
        var refused: [String: WarehouseError] = [:]
    }

    /// A request may have 10 MB, and a change needs up to 2 KB of it.
    static let mostChanges = 1000
    /// It takes 10 refusals to find one organization among a thousand, and 5 to find one among 25.
    private static let mostRefusals = 64

    let warehouse: MeteredWarehouse
    let today: CivilDate
    let now: @Sendable () -> Timestamp

    /// Applies everything that can be applied: a part that the warehouse refuses is halved and tried again, until each refused
    /// organization stands alone. After too many refusals the rest is refused together.
    ///
    /// Errors that do not concern the values, such as a lost connection, are thrown: smaller parts would meet them too.
    ///
    /// - Parameters:
    ///   - claim: The token of a claim on queued syncs: organizations that somebody else claimed meanwhile are not written.
    ///   - written: Gets the result of the changes, also of the changes before an error that is thrown.
    func applyInParts(
        _ changes: some Collection<BillingChange>, claim: String = "", into written: inout Written
    ) async throws {
        try await halvingOnRefusal(
            changes, mostRefusals: Self.mostRefusals, isRefusal: { ($0 as? WarehouseError)?.concernsTheValues == true }
        ) { part in
            try await apply(part, claim: claim, into: &written)
        } refused: { part, error in
            for change in part { written.refused[change.slug] = error as? WarehouseError }
        }
    }

    /// The organizations that are not among the written ones afterward were changed meanwhile.
    func apply(
        _ changes: some Collection<BillingChange>, claim: String = "", into written: inout Written
    ) async throws {
        guard let statement = statement(changes, claim: claim) else { return }
        for row in try await warehouse.query(statement).rows {
            written.applied.insert(try row.string("org_slug"))
            if let former = try row.optionalString("former_owner") { written.formerOwners.insert(former) }
        }
    }

    /// Writes nothing by the statements that write a change.
    ///
    /// - Throws: The error, if the warehouse refuses that too: then the refusal is of no value, but of all writes.
    func confirmAccepts(like change: BillingChange, claim: String) async throws {
        guard let statement = statement([change], claim: claim, isEmpty: true) else { return }
        _ = try await warehouse.query(statement)
    }

    func statement(
        _ changes: some Collection<BillingChange>, claim: String = "", isEmpty: Bool = false
    ) -> Statement? {
        guard let first = changes.first else { return nil }
        let now = now()
        let differ = changes.contains { !$0.differences.isEmpty }
        let elements = isEmpty ? [] : changes.map(\.parameter)
        var statement = Statement(
            "write the billing state of \(changes.count) organizations", differ ? Self.script : Self.touchScript,
            parameters: [
                "changes": .array(of: first.parameter.type, elements), "claim": .string(claim),
                "never": .timestamp(StoredBilling.never), "now": .timestamp(now),
            ])
        if differ {
            statement.parameters += [
                SQLValue.Field("today", .date(today)),
                SQLValue.Field("audits_since", .timestamp(now.adding(.seconds(-86_400)))),
            ]
        }
        return statement
    }
}

extension WarehouseError {
    /// Fewer or other values could pass where these did not.
    fileprivate var concernsTheValues: Bool { !endsRun && (code == .invalid || code == .resourcesExceeded) }
}

extension BillingWriter {
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
        SET \(BillingField.limits.sql { "\($0) = n.\($0)" }), last_updated = @now, updated_at = @now
        FROM (\(current)) AS n
        WHERE t.usage_date = @today AND t.org_slug = n.org_slug AND n.differs
          AND (\(BillingField.limits.sql(separator: " OR ") { "t.\($0) IS DISTINCT FROM n.\($0)" }));

        UPDATE \(BillingTables.profiles.sql) AS t
        SET subscription_plan = n.plan_name, updated_at = @now
        FROM (\(current)) AS n
        WHERE t.org_slug = n.org_slug AND n.differs AND t.subscription_plan IS DISTINCT FROM n.plan_name;

        UPDATE \(BillingTables.subscriptions.sql) AS t
        SET
          status = '\(SubscriptionStatus.cancelled)', updated_at = @now,
          subscription_end_date = IF(t.subscription_end_date < @today, t.subscription_end_date, @today)
        FROM (\(current)) AS n
        WHERE t.org_slug = n.org_slug AND t.subscription_id <> n.subscription_id AND t.status IN ('ACTIVE', 'TRIAL')
          AND n.differs;

        \(update)

        COMMIT TRANSACTION;

        \(written)
        """

    /// Where nothing differs only the time of the reading is written. No other table is named, since even an UPDATE that
    /// changes no row delays others that write to its table.
    static let touchScript = """
        \(update)

        \(written)
        """

    private static let isClaimed = """
        (@claim = '' OR c.org_slug IN (
              SELECT claimed.org_slug FROM \(BillingTables.queue.sql) AS claimed
              WHERE claimed.lease_token = @claim AND claimed.status = 'processing'))
        """

    /// The changes whose row still has the version that they were compared with.
    private static let current = """
        SELECT
            c.org_slug, c.subscription_id, c.differs, c.version, c.read_until, \(BillingField.all.sql { "c.\($0)" }),
            c.audit_id, c.details, c.request_id
          FROM UNNEST(@changes) AS c
          JOIN (
            SELECT DISTINCT org_slug, subscription_id, IFNULL(stripe_read_at, @never) AS version
            FROM \(BillingTables.subscriptions.sql)) AS s
          ON s.org_slug = c.org_slug AND s.subscription_id = c.subscription_id AND s.version = c.version
          WHERE c.version < c.read_from AND \(isClaimed)
        """

    private static let update = """
        UPDATE \(BillingTables.subscriptions.sql) AS t
        SET
          \(BillingField.all.sql { "\($0) = n.\($0)" }),
          stripe_read_at = n.read_until, updated_at = IF(n.differs, @now, t.updated_at)
        FROM (\(current)) AS n
        WHERE t.org_slug = n.org_slug AND t.subscription_id = n.subscription_id
          AND IFNULL(t.stripe_read_at, @never) = n.version;
        """

    /// The organizations whose rows have the versions of their changes, each with those that still have its subscription
    /// stored as theirs.
    private static let written = """
        SELECT DISTINCT c.org_slug AS org_slug, f.org_slug AS former_owner
        FROM UNNEST(@changes) AS c
        JOIN \(BillingTables.subscriptions.sql) AS s
        ON s.org_slug = c.org_slug AND s.subscription_id = c.subscription_id AND s.stripe_read_at = c.read_until
        LEFT JOIN (
          SELECT DISTINCT org_slug, stripe_subscription_id FROM \(BillingTables.subscriptions.sql)
          WHERE status <> '\(SubscriptionStatus.cancelled)') AS f
        ON f.stripe_subscription_id = c.stripe_subscription_id AND f.org_slug <> c.org_slug;
        """
}
