import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

/// Organizations with more than one row in `org_subscriptions`, or with a row that something is wrong with.
@Suite struct RowChoiceTests {
    private func addRow(
        _ fixture: BillingFixture, _ slug: String, _ id: String, _ status: String, _ created: String
    ) async throws {
        _ = try await fixture.run(
            """
            INSERT INTO `organizations.org_subscriptions` (
              subscription_id, org_slug, plan_name, status, daily_limit, monthly_limit, concurrent_limit, created_at)
            VALUES (@id, @slug, @id, @status, 1, 1, 1, @created)
            """,
            [
                "id": .string(id), "slug": .string(slug), "status": .string(status),
                "created": .timestamp(Timestamp(created)!),
            ])
    }

    /// The other row of each is a trial of 2025-01-01 whose id begins with `row`.
    @Test(arguments: Backend.allCases)
    func aLiveRowCountsBeforeANewerOneAndThenTheNewest(_ backend: Backend) async throws {
        let fixture = try await BillingFixture(backend, "billing-rows", [])
        let rows = [
            ("dead-and-newer", "a", "CANCELLED", "2026-01-01T00:00:00Z", "OLD"),
            ("live-and-newer", "a", "ACTIVE", "2026-01-01T00:00:00Z", "a"),
            ("live-and-older", "z", "ACTIVE", "2024-01-01T00:00:00Z", "OLD"),
            ("of-the-same-time", "z", "ACTIVE", "2025-01-01T00:00:00Z", "z"),
        ]
        for (slug, id, status, created, _) in rows {
            try await fixture.add(slug, quota: false)
            try await addRow(fixture, slug, id, status, created)
        }

        for (slug, _, _, _, expected) in rows {
            #expect(try await fixture.state(slug)[.planName] == expected, "\(slug)")
        }
    }

    /// Otherwise the newer dead row would be written, and audited, by the next run.
    @Test(arguments: Backend.allCases)
    func aRowThatStopsBeingLiveStillCounts(_ backend: Backend) async throws {
        let fixture = try await BillingFixture(backend, "billing-row-ends")
        try await addRow(fixture, "acme", "newer", "CANCELLED", "2026-01-01T00:00:00Z")
        fixture.stripe.change { $0.subscriptions = [ReconciliationTests.subscription] }
        try await fixture.reconcile()
        fixture.stripe.change { $0.subscriptions[0].status = "past_due" }

        let first = try await fixture.reconcile()
        let second = try await fixture.reconcile()

        #expect(first["synced"] == 1 && first["mismatches_status"] == 1)
        #expect(second["mismatches"] == 0 && second["synced"] == 0)
        #expect(try await fixture.audits("acme").count == 2)
        let rows = try await fixture.run(
            "SELECT subscription_id FROM `organizations.org_subscriptions` WHERE stripe_read_at IS NOT NULL")
        #expect(try rows.map { try $0.string("subscription_id") } == ["row_acme"])
    }

    @Test func aVersionOfTheFutureIsSaidToBeOne() async throws {
        let fixture = try await BillingFixture(Backend.allCases[0], "billing-future", ["acme", "globex"])
        fixture.stripe.change { account in
            account.subscriptions = ["acme", "globex"].map {
                .init(id: "sub_\($0)", customer: "cus_\($0)", metadata: ["org_slug": $0])
            }
        }
        _ = try await fixture.run(
            "UPDATE `organizations.org_subscriptions` SET stripe_read_at = @at WHERE org_slug = 'acme'",
            ["at": .timestamp(Timestamp("2036-03-15T02:00:00Z")!)])

        let report = try await fixture.reconcile()

        #expect(report["synced"] == 1 && report["queued"] == 0)
        #expect(report.failures.map(\.subject) == [#""acme""#])
        #expect(report.failures.first?.reason.contains("which is in the future") == true)
    }

    /// Even an UPDATE that changes no row holds up others that write to its table.
    @Test func whereNothingDiffersOnlyTheTimeOfTheReadingIsWritten() async throws {
        let fixture = try await BillingFixture(Backend.allCases[0], "billing-touch")
        fixture.stripe.change { $0.subscriptions = [ReconciliationTests.subscription] }
        try await fixture.reconcile()
        try await fixture.enqueue("acme", id: "sync_1")
        let refusing = FaultyWarehouse(
            fixture.warehouse,
            refuses: { statement in
                ["UPDATE `organizations.org_usage_quotas`", "UPDATE `organizations.org_profiles`", "org_audit_logs"]
                    .contains { statement.sql.contains($0) }
            })
        let before = try await version(fixture)

        #expect(try await fixture.retry(on: refusing)["completed"] == 1)

        #expect(try await version(fixture) > before)
    }

    private func version(_ fixture: BillingFixture) async throws -> Timestamp {
        let rows = try await fixture.run("SELECT stripe_read_at FROM `organizations.org_subscriptions`")
        return try #require(try rows.first?.optionalTimestamp("stripe_read_at"))
    }
}
