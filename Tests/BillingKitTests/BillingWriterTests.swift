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
    private func stored(_ fixture: BillingFixture, _ slug: String = "acme") async throws -> StoredBilling {
        let rows = try await fixture.warehouse.query(BillingStateStatements(today: fixture.today).all).rows
        return try #require(try BillingState(rows).organizations[slug])
    }

    private func change(_ fixture: BillingFixture) async throws -> BillingChange {
        let values = BillingValues(plan: "SCALE", status: "ACTIVE", daily: 7, monthly: 210, concurrent: 2)
        let time = ReadTime(from: fixture.clock.now(), until: fixture.clock.now())
        return try #require(try BillingChange(values, try await stored(fixture), read: time, reason: "test"))
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
        #expect(try await fixture.state("acme")[.quotaDailyLimit] == "7")
        #expect(try await fixture.audits("acme").count == 1)
    }

    /// Of two instants that are equal nobody can tell which was first.
    @Test func aReadingThatBeganWithTheVersionIsNotNewer() async throws {
        let fixture = try await BillingFixture(Backend.allCases[0], "billing-equal")
        _ = try await writer(fixture).apply([try await change(fixture)])
        let stored = try await stored(fixture)
        let values = try #require(stored.values)
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
        #expect(try await fixture.state("acme")[.planName] == "SCALE")

        change.time.from = change.version.adding(.microseconds(1))
        #expect(try await writer(fixture).apply([change]) == ["acme"])
        #expect(try await fixture.state("acme")[.planName] == "OTHER")
    }

    /// Two organizations, written one after the other, whose rows have the same name and the same version.
    @Test(arguments: Backend.allCases)
    func rowsOfOneNameAreAuditedEach(_ backend: Backend) async throws {
        let fixture = try await BillingFixture(backend, "billing-names", ["acme", "globex"])
        _ = try await fixture.run("UPDATE `organizations.org_subscriptions` SET subscription_id = 'main' WHERE TRUE")
        let time = try await change(fixture).time

        for slug in ["acme", "globex"] {
            let values = BillingValues(plan: "SCALE", status: "ACTIVE", daily: 7, monthly: 210, concurrent: 2)
            let change = try BillingChange(values, try await stored(fixture, slug), read: time, reason: "test")
            #expect(try await writer(fixture).apply([try #require(change)]) == [slug])
        }

        for slug in ["acme", "globex"] { #expect(try await fixture.audits(slug).count == 1) }
    }
}
