import Warehouse
import WarehouseKit

extension BillingWriter {
    /// Where nothing differs only the time of the reading is written, and no other table is touched, since even an UPDATE
    /// without a row holds up others that write to its table.
    static let touchScript = """
        \(update)

        \(written)
        """

    static let update = """
        UPDATE \(BillingTables.subscriptions.sql) AS t
        SET
          plan_name = n.plan_name, status = n.status, daily_limit = n.daily_limit, monthly_limit = n.monthly_limit,
          concurrent_limit = n.concurrent_limit, seat_limit = n.seat_limit, providers_limit = n.providers_limit,
          trial_end_date = n.trial_end_date, subscription_end_date = n.subscription_end_date,
          stripe_customer_id = n.stripe_customer_id, stripe_subscription_id = n.stripe_subscription_id,
          current_period_end = n.current_period_end, cancel_at_period_end = n.cancel_at_period_end,
          stripe_read_at = n.read_until, updated_at = IF(n.differs, @now, t.updated_at)
        FROM (\(current)) AS n
        WHERE t.org_slug = n.org_slug AND t.subscription_id = n.subscription_id
          AND IFNULL(t.stripe_read_at, @never) = n.version;
        """

    /// Which organizations' rows have the versions of their changes.
    static let written = """
        SELECT DISTINCT c.org_slug AS org_slug
        FROM UNNEST(@changes) AS c
        JOIN \(BillingTables.subscriptions.sql) AS s
        ON s.org_slug = c.org_slug AND s.subscription_id = c.subscription_id AND s.stripe_read_at = c.read_until;
        """
}
