import HTTPTransport
import JobRuntime
import Logging
import SchemaKit
import TestSupport
import Warehouse
import WarehouseKit

@testable import BillingKit

/// A Stripe account, a warehouse with the service's tables, and the two jobs between them.
struct BillingFixture: Sendable {
    let stripe: FakeStripe
    let warehouse: any Warehouse
    let clock = SteadyClock()
    let today = CivilDate("2026-03-15")!
    static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    static let longAgo = Timestamp("2025-01-01T00:00:00Z")!

    init(_ warehouse: any Warehouse, _ account: FakeStripe.Account = .usual) async throws {
        self.warehouse = warehouse
        stripe = try FakeStripe(account)
        try await Bootstrap(
            warehouse: warehouse, catalog: try Catalog.embedded([.organizations, .operations]), environment: .test,
            report: ReportFixture().report
        ).create()
    }

    /// With organizations that have a profile, an untouched row in `org_subscriptions` and one for today's quota.
    init(_ backend: Backend, _ project: String, _ slugs: [String] = ["acme"], _ account: FakeStripe.Account = .usual)
        async throws
    {
        try await self.init(try await backend.warehouse(project), account)
        for slug in slugs { try await add(slug) }
    }

    func client(_ key: String = "rk_test_fixture0001") -> StripeClient {
        StripeClient(
            baseURL: stripe.server.url, key: Secret(key), requestsPerSecond: 20, transport: CurlTransport(),
            time: LeapingClock().time,
            now: clock.now, logger: Self.quiet)
    }

    @discardableResult
    func reconcile(
        on other: (any Warehouse)? = nil, cancelMissing: Int? = nil, isDryRun: Bool = false,
        report: ReportFixture = ReportFixture()
    ) async throws -> ReportFixture {
        try await BillingReconciliation(
            stripe: client(), warehouse: other ?? warehouse, today: today, report: report.report, logger: Self.quiet,
            isDryRun: isDryRun, now: clock.now
        ).run(cancelMissing: cancelMissing)
        return report
    }

    @discardableResult
    func retry(
        on other: (any Warehouse)? = nil, limit: Int = 100, isDryRun: Bool = false, jitter: Double = 0,
        report: ReportFixture = ReportFixture()
    ) async throws -> ReportFixture {
        try await BillingRetry(
            stripe: client(), warehouse: other ?? warehouse, today: today, report: report.report, logger: Self.quiet,
            isDryRun: isDryRun, now: clock.now, jitter: { jitter }
        ).run(limit: limit, lease: .seconds(900))
        return report
    }
}
