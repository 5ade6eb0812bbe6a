import EmbeddedWarehouse
import HTTPTransport
import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

/// What a night costs with ten thousand organizations that agree. Their memory is measured by the benchmarks, on the binary.
@Suite struct ScaleTests {
    private static let organizations = 10_000

    private static let profiles = """
        INSERT INTO `organizations.org_profiles` (
          org_slug, company_name, admin_email, org_dataset_id, status, subscription_plan, created_at)
        SELECT 'org_' || number, 'Company', 'admin@acme.example', '', 'ACTIVE', 'STARTER', @created
        FROM UNNEST(@numbers) AS number
        """
    private static let subscriptions = """
        INSERT INTO `organizations.org_subscriptions` (
          subscription_id, org_slug, plan_name, status, daily_limit, monthly_limit, concurrent_limit, seat_limit,
          providers_limit, created_at, stripe_customer_id, stripe_subscription_id, current_period_end,
          cancel_at_period_end)
        SELECT
          'row_' || number, 'org_' || number, 'STARTER', 'ACTIVE', 6, 180, 1, 2, 3, @created, 'cus_' || number,
          'sub_' || number, @end, FALSE
        FROM UNNEST(@numbers) AS number
        """

    private static let quotas = """
        INSERT INTO `organizations.org_usage_quotas` (
          usage_id, org_slug, usage_date, current_daily_pipelines, pipelines_succeeded_today, pipelines_failed_today,
          current_monthly_pipelines, concurrent_pipelines_running, daily_limit, last_updated, created_at)
        SELECT 'quota_' || number, 'org_' || number, @today, 0, 0, 0, 0, 0, 1, @created, @created
        FROM UNNEST(@numbers) AS number
        """

    /// A page is made when it is asked for.
    private static func answer(_ request: ScriptedRequest, organizations: Int = organizations) -> ScriptedReply {
        if request.path == "/v1/products" {
            return .json(
                """
                {"data": [{"id": "prod_1", "metadata": {"plan_id": "starter", "teamMembers": "2", "providers": "3",
                 "pipelinesPerDay": "6", "concurrentPipelines": "1"}}], "has_more": false}
                """)
        }
        let first = request.query["starting_after"].flatMap { Int($0.dropFirst(4)) }.map { $0 + 1 } ?? 0
        let last = min(first + (Int(request.query["limit"] ?? "") ?? 10), organizations)
        let data = (first..<last).map { number in
            """
            {"id": "sub_\(number)", "status": "active", "customer": "cus_\(number)", "created": 1700000000,
             "metadata": {"org_slug": "org_\(number)"}, "cancel_at_period_end": false,
             "items": {"data": [{"id": "si_\(number)", "current_period_end": 1800000000,
              "price": {"id": "price_1", "product": "prod_1"}}], "has_more": false}}
            """
        }
        return .json(#"{"data": [\#(data.joined(separator: ","))], "has_more": \#(last < organizations)}"#)
    }

    @Test func aNightWithoutADifferenceIs101RequestsAndFourStatements() async throws {
        let warehouse = try EmbeddedWarehouse(path: ":memory:")
        let fixture = try await BillingFixture(warehouse)
        for sql in [Self.profiles, Self.subscriptions] {
            _ = try await fixture.run(
                sql,
                [
                    "numbers": .strings((0..<Self.organizations).map(String.init)),
                    "created": .timestamp(BillingFixture.longAgo),
                    "end": .timestamp(Timestamp(microseconds: 1_800_000_000_000_000)),
                ])
        }
        let server = try ScriptedServer { Self.answer($0) }
        // The first run of all makes the row of the lease.
        try await JobLease(
            warehouse: warehouse, job: "billing-sync-reconcile", holder: "first", validity: .seconds(60),
            report: ReportFixture().report
        ).holding {}

        let night = try await reconcile(warehouse, server, fixture)

        #expect(night.report["checked"] == Self.organizations)
        #expect(night.report["mismatches"] == 0)
        #expect(night.report.failures.isEmpty && night.report.warnings.isEmpty)
        #expect(server.requests.count == 101)
        #expect(night.statements == 4)
    }

    /// Its time would grow with the cube of the number if SQLite read the changes again for each row.
    @Test(.timeLimit(.minutes(2))) func aThousandNewOrganizationsAreWrittenOnSQLite() async throws {
        let warehouse = try EmbeddedWarehouse(path: ":memory:")
        let fixture = try await BillingFixture(warehouse)
        let numbers = SQLValue.strings((0..<1000).map(String.init))
        for sql in [Self.profiles, Self.quotas] {
            _ = try await fixture.run(
                sql,
                [
                    "numbers": numbers, "created": .timestamp(BillingFixture.longAgo), "today": .date(fixture.today),
                ])
        }
        let server = try ScriptedServer { Self.answer($0, organizations: 1000) }

        let first = try await reconcile(warehouse, server, fixture)
        let second = try await reconcile(warehouse, server, fixture)

        #expect(first.report["synced"] == 1000)
        #expect(first.report.failures.isEmpty)
        #expect(second.report["mismatches"] == 0)
        let audits = try await fixture.run("SELECT COUNT(*) AS audits FROM `organizations.org_audit_logs`")
        #expect(try audits.first?.int64("audits") == 1000)
    }

    private func reconcile(
        _ warehouse: EmbeddedWarehouse, _ server: ScriptedServer, _ fixture: BillingFixture
    ) async throws -> (report: ReportFixture, statements: Int) {
        let counting = FaultyWarehouse(warehouse)
        let report = ReportFixture()
        let stripe = StripeClient(
            baseURL: server.url, key: Secret("rk_test_fixture0001"), mode: .test, requestsPerSecond: 20,
            transport: CurlTransport(),
            time: LeapingClock().time, now: fixture.clock.now, logger: BillingFixture.quiet)
        let lease = JobLease(
            warehouse: counting, job: "billing-sync-reconcile", holder: "test", validity: .seconds(3600),
            report: report.report)
        try await lease.holding {
            try await BillingReconciliation(
                stripe: stripe, warehouse: counting, today: fixture.today, report: report.report,
                logger: BillingFixture.quiet, now: fixture.clock.now
            ).run()
        }
        return (report, counting.statements)
    }
}
