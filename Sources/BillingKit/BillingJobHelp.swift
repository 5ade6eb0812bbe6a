extension BillingReconciliation {
    package static let help = """
        Reads all subscriptions of the Stripe account and compares them with organizations.org_subscriptions, today's limits \
        in org_usage_quotas and org_profiles.subscription_plan. Each mismatch is told as organization, field, Stripe, \
        warehouse, and all of them are applied in one batch; Stripe is right. Each organization that changes gets one row in \
        org_audit_logs. Nothing differs: nothing is written.

        Subscriptions of no known organization are reported as unmatched, organizations whose subscription is gone as \
        missing_in_stripe; --cancel-missing marks those as CANCELLED. What cannot be applied is queued for billing-sync-retry.

        Safe to run again; two executions at the same time: the second one is skipped.

        EXAMPLES:
          GCP_PROJECT_ID=cloudact-testing-1 STRIPE_SECRET_KEY=rk_test_... BillingSyncReconcileJob --dry-run
          WAREHOUSE_URL=sqlite:demo.db STRIPE_SECRET_KEY=rk_test_... BillingSyncReconcileJob
        """
}

extension BillingRetry {
    package static let help = """
        Claims the due items of scheduler_jobs.billing_sync_queue, reads the subscription of each of their organizations from \
        Stripe as it is now, and brings the warehouse to it, as billing-sync-reconcile does for all. A try that fails is \
        repeated after 1, 2, 4, 8 and 16 minutes; then the item is failed, which makes this one run fail, and stays until \
        --requeue.

        Safe to run again, and at the same time: no two executions work on one item, and those of a killed execution come back,
        one by one.

        EXAMPLES:
          GCP_PROJECT_ID=cloudact-prod STRIPE_SECRET_KEY=rk_live_... BillingSyncRetryJob --stats
          GCP_PROJECT_ID=cloudact-prod STRIPE_SECRET_KEY=rk_live_... BillingSyncRetryJob --requeue all
        """
}
