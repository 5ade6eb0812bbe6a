import BigQueryWarehouse
import JobRuntime
import TestSupport
import Testing

@testable import QuotaKit
@testable import SchemaKit
@testable import Warehouse
@testable import WarehouseKit

/// A problem of one organization, one row or one lease does not stop the rest of a reset.
@Suite struct QuotaTroubleTests {
    private static let now = instant("2026-01-31T00:00:00Z")
    private let now = Self.now

    /// A table that was widened by bootstrap-sync has NULL in a column that is REQUIRED in a new one.
    @Test(arguments: Backend.allCases)
    func aSubscriptionWithoutALimitIsAFailureOfItsOwn(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(widened: ["org_subscriptions": ["daily_limit"]], backend, "quota-no-limit")
        try await fixture.add(profiles: [("acme", "ACTIVE"), ("globex", "ACTIVE")])
        try await fixture.add(subscriptions: [
            Subscription(id: "old", slug: "acme", limits: Limits(daily: 6), created: QuotaFixture.longAgo),
            Subscription(id: "new", slug: "acme", limits: Limits(daily: 9), created: now),
            Subscription(id: "only", slug: "globex", limits: Limits(daily: 6), created: QuotaFixture.longAgo),
        ])
        try await fixture.run(
            "UPDATE `organizations.org_subscriptions` SET daily_limit = NULL WHERE subscription_id = 'new'")

        let report = try await fixture.perform(.daily, at: now)

        #expect(try await fixture.rows().map(\.slug) == ["globex"])
        #expect(report.failures.map(\.subject) == ["\"acme\""])
        #expect(report["organizations_reset"] == 1)
        #expect(report["rows_created"] == 1)
    }

    @Test(arguments: Backend.allCases)
    func streamedRowsKeepNoOtherOrganizationFromItsRow(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("quota-streamed"))
        try await fixture.add(active: ["acme", "globex"])
        var streamed = QuotaRow(id: "uuid", slug: "acme", date: now.date, at: now)
        streamed.daily = 7
        try await fixture.add(rows: [streamed])

        let report = try await fixture.perform(.daily, at: now, on: Self.refusing(0, of: fixture))

        #expect(try await fixture.row("acme") == streamed)
        #expect(try await fixture.row("globex")?.dailyLimit == 6)
        #expect(report.failures.map(\.subject) == ["rows of 2026-01-31"])
        #expect(report["rows_created"] == 1)
        let later = try await fixture.perform(.daily, at: now)
        #expect(later.failures.isEmpty)
        #expect(later["rows_changed"] == 1)
    }

    @Test(arguments: Backend.allCases, [1, 3])
    func streamedRowsKeepAPassFromNothingElse(_ backend: Backend, refused: Int) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("stale-streamed-\(refused)"))
        try await fixture.add(runs: [LoggedRun("crashed", "acme", "RUNNING", now.adding(.seconds(-7200)))])
        var row = QuotaRow(id: "a", slug: "acme", date: now.date, at: now)
        row.running = 3
        try await fixture.add(rows: [row])
        let lines = LogLines()

        let report = try await fixture.perform(
            .stale, at: now, on: Self.refusing(refused, of: fixture), logger: lines.logger)

        let isMarked = refused == 3
        #expect(report.failures.map(\.subject) == [isMarked ? "counters" : "stale runs"])
        #expect(try await fixture.runs().first?.status == (isMarked ? "FAILED" : "RUNNING"))
        #expect(try await fixture.row("acme")?.running == (isMarked ? 3 : 0))
        // Nothing is said to have changed that has not.
        #expect(lines.all.count == (isMarked ? 0 : 1))
        #expect(report["rows_changed"] == (isMarked ? 0 : 1))
    }

    /// BigQuery has no reason of its own for this, only these words.
    @Test(arguments: [
        (
            "UPDATE or DELETE statement over table p.d.t would affect rows in the streaming buffer, which is not supported",
            true
        ),
        ("Unrecognized name: streaming buffer", false), ("Syntax error", false),
    ])
    func streamedRowsAreKnownByBigQuerysWords(_ message: String, isStreamed: Bool) async throws {
        let fixture = try BigQueryFixture([.refusal(400, "invalidQuery", message)])

        let error = await fixture.failure { _ = try await $0.query(Statement("change rows", "UPDATE")) }

        #expect(error?.concernsStreamedRows == isStreamed)
    }

    /// A MERGE that had to queue, and begins when its lease has gone to another execution.
    @Test(arguments: Backend.allCases, [QuotaFixture.Job.daily, .monthly])
    func aResetWhoseLeaseIsLostWritesNothing(_ backend: Backend, _ job: QuotaFixture.Job) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("quota-fence-\(job)"))
        try await fixture.add(active: ["acme"])
        let held = LeaseStatements(jobs: ["a", "b"], holder: "a one/0/0", token: "held")
        _ = try await fixture.warehouse.query(held.seed(at: now))
        _ = try await fixture.warehouse.query(held.take(at: now, until: now.adding(.seconds(60))))

        let lost = try await fixture.perform(job, at: now, fence: LeaseFence(jobs: ["a", "b"], token: "lost"))
        let rows = try await fixture.rows()
        let done = try await fixture.perform(job, at: now, fence: LeaseFence(jobs: ["a", "b"], token: "held"))

        #expect(rows.isEmpty)
        #expect(lost["rows_created"] == 0)
        #expect(done["rows_created"] == 1)
        #expect(try await fixture.rows().count == 1)
    }

    /// Each job with work to do: a second execution is skipped, and the lease ends as the statements do.
    @Test(arguments: [QuotaFixture.Job.daily, .monthly, .stale, .retention(days: 31)])
    func everyJobKeepsTheLeaseContract(_ job: QuotaFixture.Job) async throws {
        let fixture = try await QuotaFixture(Backend.embedded.warehouse("quota-lease"))
        try await fixture.add(active: ["acme"])
        let (name, others) = QuotaFixture.leases(job)
        let contract = LeaseContract(job: name, excluding: others) { warehouse, fence, report in
            try await fixture.perform(job, at: now, on: warehouse, fence: fence, report: ReportFixture())
        }

        let violations = try await contract.violations(on: fixture.warehouse)

        #expect(violations == [])
    }

    @Test(arguments: Backend.allCases)
    func theRunThatMakesARowTwiceReportsIt(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("quota-twice"))
        try await fixture.add(active: ["acme"])
        let twin = QuotaRow(id: "uuid", slug: "acme", date: now.date, at: now)
        // It arrives while the MERGE runs.
        let busy = FaultyWarehouse(
            fixture.warehouse, afterEach: { if $0 == 0 { try await fixture.add(rows: [twin]) } })

        let report = try await fixture.perform(.daily, at: now, on: busy)

        #expect(report.warnings.map(\.reason) == ["has 2 rows for 2026-01-31; all get the same values"])
    }

    @Test(arguments: Backend.allCases)
    func nothingIsCountedBeforeItIsDone(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("quota-counts"))
        try await fixture.add(active: ["acme"])
        let report = ReportFixture()

        await #expect(throws: WarehouseError.self) {
            try await fixture.perform(
                .daily, at: now, on: FaultyWarehouse(fixture.warehouse, .killedBefore(0)), report: report)
        }

        #expect(report["organizations_reset"] == 0)
    }

    private static func refusing(_ index: Int, of fixture: QuotaFixture) -> FaultyWarehouse {
        FaultyWarehouse(
            fixture.warehouse,
            beforeEach: {
                guard $0 == index else { return }
                throw WarehouseError(
                    .invalid, detail: .streamedRows, operation: "change rows",
                    message: "UPDATE or DELETE statement over table p.d.t would affect rows in the streaming buffer, "
                        + "which is not supported")
            })
    }
}
