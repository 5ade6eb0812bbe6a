import EmbeddedWarehouse
import Foundation
import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

/// The script that writes the billing state, by itself.
@Suite struct BillingWriterTests {
    private static let scale = BillingValues(
        plan: "SCALE", status: "ACTIVE", limits: BillingLimits(daily: 7, monthly: 210, concurrent: 2))

    private func stored(_ fixture: BillingFixture, _ slug: String = "acme") async throws -> StoredBilling {
        try #require(try await BillingState.read(fixture.metered, today: fixture.today).organizations[slug])
    }

    private func change(_ fixture: BillingFixture) async throws -> BillingChange {
        let time = ReadTime(from: fixture.clock.now(), until: fixture.clock.now())
        return try #require(try BillingChange(Self.scale, try await stored(fixture), read: time, reason: "test"))
    }

    private func writer(_ fixture: BillingFixture) -> BillingWriter {
        BillingWriter(
            warehouse: MeteredWarehouse(fixture.warehouse, ReportFixture().report), today: fixture.today,
            now: fixture.clock.now)
    }

    /// All of its statements have been executed when the transaction fails, one after the other.
    @Test(arguments: Backend.allCases)
    func allThreeTablesAndTheAuditOrNone(_ backend: Backend) async throws {
        let fixture = try await BillingFixture(backend, "billing-atomic")
        let change = try await change(fixture)
        let before = try await fixture.state("acme")
        var failing = try #require(writer(fixture).statement([change]))
        let commit = try #require(failing.sql.range(of: "COMMIT TRANSACTION;"))
        failing.sql.replaceSubrange(
            commit,
            with: """
                INSERT INTO `organizations.org_audit_logs` (audit_id, org_slug, action, resource_type, status, created_at)
                VALUES (NULL, 'acme', 'X', 'X', 'X', @now);

                COMMIT TRANSACTION;
                """)

        let statement = failing
        await #expect(throws: WarehouseError.self) { try await fixture.warehouse.query(statement) }

        #expect(try await fixture.state("acme") == before)
        #expect(try await fixture.audits("acme").isEmpty)
        // It was the last statement that failed.
        #expect(try await writer(fixture).apply([change]) == ["acme"])
        #expect(try await fixture.state("acme")["quota.daily_limit"] == "7")
        #expect(try await fixture.audits("acme").count == 1)
    }

    /// Every field has a value of its own, so that no two of them can be exchanged; then NULL where the table allows it.
    @Test(arguments: Backend.allCases)
    func everyFieldIsWrittenToItsColumnAndReadFromIt(_ backend: Backend) async throws {
        let fixture = try await BillingFixture(backend, "billing-fields")
        let full = BillingValues(
            plan: "P1", status: "SUSPENDED",
            limits: BillingLimits(daily: 11, monthly: 12, concurrent: 13, seats: 14, providers: 15),
            trialEnd: CivilDate("2026-01-16"), end: CivilDate("2026-01-17"), customer: "cus_18",
            subscription: "sub_19", currentPeriodEnd: Timestamp("2026-01-20T00:00:00.000021Z"), cancelsAtPeriodEnd: true
        )
        let empty = BillingValues(
            plan: "P2", status: "ACTIVE", limits: BillingLimits(daily: 21, monthly: 22, concurrent: 23))
        let columns: [(BillingValues, [SQLValue])] = [
            (
                full,
                [
                    .string("P1"), .string("SUSPENDED"), .int64(11), .int64(12), .int64(13), .int64(14), .int64(15),
                    .date(CivilDate("2026-01-16")!), .date(CivilDate("2026-01-17")!), .string("cus_18"),
                    .string("sub_19"), .timestamp(Timestamp("2026-01-20T00:00:00.000021Z")!), .bool(true),
                ]
            ),
            (
                empty,
                [
                    .string("P2"), .string("ACTIVE"), .int64(21), .int64(22), .int64(23), .null(.int64), .null(.int64),
                    .null(.date), .null(.date), .null(.string), .null(.string), .null(.timestamp), .null(.bool),
                ]
            ),
        ]

        for (values, expected) in columns {
            let time = ReadTime(from: fixture.clock.now(), until: fixture.clock.now())
            let change = try BillingChange(values, try await stored(fixture), read: time, reason: "test")
            #expect(try await writer(fixture).apply([try #require(change)]) == ["acme"])

            let row = try #require(
                try await fixture.run(
                    """
                    SELECT
                      plan_name, status, daily_limit, monthly_limit, concurrent_limit, seat_limit, providers_limit,
                      trial_end_date, subscription_end_date, stripe_customer_id, stripe_subscription_id,
                      current_period_end, cancel_at_period_end
                    FROM `organizations.org_subscriptions`
                    """
                ).first)
            #expect(row.fields.map(\.value) == expected)
            let after = try await stored(fixture)
            #expect(after.values == values && after.version == time.until && after.row == "row_acme")
            #expect(after.quota == .one(values.limits) && after.profilePlan == .one(values.plan))
        }
    }

    /// Of two instants that are equal nobody can tell which was first.
    @Test func aReadingThatBeganWithTheVersionIsNotNewer() async throws {
        let fixture = try await BillingFixture(Backend.allCases[0], "billing-equal")
        _ = try await writer(fixture).apply([try await change(fixture)])
        let stored = try await stored(fixture)
        let values = stored.values
        let at = { (from: Timestamp) in ReadTime(from: from, until: from.adding(.seconds(1))) }

        #expect(try BillingChange(values, stored, read: at(stored.version), reason: "test") == nil)
        #expect(
            try BillingChange(values, stored, read: at(stored.version.adding(.microseconds(1))), reason: "test") != nil)
    }

    @Test(arguments: Backend.allCases)
    func theScriptItselfDoesNotWriteSuchAReading(_ backend: Backend) async throws {
        let fixture = try await BillingFixture(backend, "billing-equal-sql")
        _ = try await writer(fixture).apply([try await change(fixture)])
        var change = try await change(fixture)
        change.values.plan = "OTHER"
        let newer = change.time
        change.time = ReadTime(from: change.version, until: newer.until)

        #expect(try await writer(fixture).apply([change]) == [])
        #expect(try await fixture.state("acme")["plan_name"] == "SCALE")

        change.time.from = change.version.adding(.microseconds(1))
        #expect(try await writer(fixture).apply([change]) == ["acme"])
        #expect(try await fixture.state("acme")["plan_name"] == "OTHER")
    }

    /// Two organizations, written one after the other, whose rows have the same name and the same version.
    @Test(arguments: Backend.allCases)
    func rowsOfOneNameAreAuditedEach(_ backend: Backend) async throws {
        let fixture = try await BillingFixture(backend, "billing-names", ["acme", "globex"])
        _ = try await fixture.run("UPDATE `organizations.org_subscriptions` SET subscription_id = 'main' WHERE TRUE")
        let time = try await change(fixture).time

        for slug in ["acme", "globex"] {
            let change = try BillingChange(Self.scale, try await stored(fixture, slug), read: time, reason: "test")
            #expect(try await writer(fixture).apply([try #require(change)]) == [slug])
        }

        for slug in ["acme", "globex"] { #expect(try await fixture.audits(slug).count == 1) }
    }
}

@Suite struct BillingStatementTests {
    @Test func googleSQLAcceptsEveryStatement() async throws {
        let catalog = try Catalog.embedded([.organizations, .operations])
        let tables = try [
            (DatasetID.organizations, Catalog.Group.organizations), (DatasetID.schedulerJobs, .operations),
        ].flatMap { dataset, group in
            try catalog.tables(group).map {
                try SQLAnalyzer.Table(
                    dataset: dataset.name, name: $0.name, resource: try JSONEncoder().encode($0.table))
            }
        }
        let stored = try StoredBilling(Row(Self.emptyState))
        let time = ReadTime(from: SteadyClock.start, until: SteadyClock.start)
        let change = try #require(try BillingChange(BillingValues(), stored, read: time, reason: "test")).parameter
        let outcome = SyncOutcome(id: "a", ending: .failed, retries: 1).parameter
        let types = [
            "changes": "ARRAY<\(change.type.text)>", "outcomes": "ARRAY<\(outcome.type.text)>",
            "items": "ARRAY<STRUCT<sync_id STRING, org_slug STRING>>", "slugs": "ARRAY<STRING>",
            "customers": "ARRAY<STRING>", "subscriptions": "ARRAY<STRING>", "limit": "INT64",
            "today": "DATE", "claim": "STRING", "token": "STRING", "sync_id": "STRING",
            "never": "TIMESTAMP", "now": "TIMESTAMP", "audits_since": "TIMESTAMP", "expires_at": "TIMESTAMP",
            "org_slug": "STRING", "payload": "STRING", "day_start": "TIMESTAMP", "day_end": "TIMESTAMP",
        ]
        let single = [
            "all": BillingState.allSQL, "some": BillingState.someSQL,
            "claim": SyncQueue.claimPendingSQL, "claim alone": SyncQueue.claimAbandonedSQL,
            "due count": SyncQueue.countDueSQL,
            "claimed": SyncQueue.claimedSQL, "due": SyncQueue.dueSQL, "finish": SyncQueue.finishSQL,
            "release": SyncQueue.releaseSQL, "add": SyncQueue.addSQL, "add claimed": SyncQueue.addClaimedSQL,
            "count": SyncQueue.countFailedSQL,
            "requeue": SyncQueue.requeueSQL, "knows": SyncQueue.knowsSQL, "enqueue": SyncQueue.enqueueSQL,
            "statistics": SyncQueue.statisticsSQL,
        ]
        let script = (BillingWriter.script + BillingWriter.touchScript).split(separator: ";").map(String.init)
            .filter { text in !text.allSatisfy(\.isWhitespace) && !text.contains("TRANSACTION") }
        let named =
            single.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
            + script.enumerated().map { ("script \($0)", $1) }

        let problems = try await SQLAnalyzer(tables: tables).problems(
            in: named.map { SQLAnalyzer.Statement(name: $0.0, sql: $0.1, parameters: types) })

        #expect(problems == [])
        #expect(script.count == 9)
    }

    /// The row of an organization of which nothing is stored.
    private static let emptyState: [SQLValue.Field] =
        [.init("org_slug", .string("acme")), .init("is_in_progress", .bool(false))]
        + ["subscription_id", "stripe_read_at", "row_count", "live_rows", "profile_variants", "quota_variants"].map {
            .init($0, .null(.string))
        } + BillingField.all.map { .init($0.name, .null($0.type)) }
}

extension BillingWriter {
    /// The organizations that were written.
    fileprivate func apply(_ changes: [BillingChange], claim: String = "") async throws -> Set<String> {
        var written = Written()
        try await apply(changes, claim: claim, into: &written)
        return written.applied
    }
}
