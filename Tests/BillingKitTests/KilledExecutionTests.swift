import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

/// What becomes of the items that a killed execution of billing-sync-retry had claimed.
@Suite struct KilledExecutionTests {
    @Test(arguments: Backend.allCases)
    func whatADeadExecutionClaimedComesBackAfterItsLease(_ backend: Backend) async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-lease", backend)
        try await fixture.enqueue("acme", id: "sync_1")
        let dying = FaultyWarehouse(fixture.warehouse, .killedBefore(Self.afterClaim))
        await #expect(throws: WarehouseError.self) { try await fixture.retry(on: dying) }
        #expect(try await fixture.queue()["sync_1"]?.status == "processing")

        #expect(try await fixture.retry()["claimed"] == 0)
        fixture.clock.pass(.seconds(901))
        #expect(try await fixture.retry()["completed"] == 1)

        #expect(try await fixture.queue()["sync_1"]?.retries == 0)
    }

    /// Once among others, which tells nothing, and then alone.
    @Test func anItemThatKillsItsExecutionIsGivenUp() async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-killer")
        try await fixture.enqueue("acme", id: "sync_1")
        for _ in 0..<7 {
            #expect(try await fixture.queue()["sync_1"]?.status != "failed")
            try await kill(fixture)
        }

        let report = try await fixture.retry()

        #expect(report.failures.first?.reason.contains("its executions ended without finishing it") == true)
        #expect(try await fixture.queue()["sync_1"]?.status == "failed")
    }

    /// Both have no retry left when their execution is killed twice, the second time while it works on the first one only.
    @Test(arguments: Backend.allCases)
    func anItemThatOnlySharedAKilledExecutionIsNotGivenUp(_ backend: Backend) async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-shared", backend)
        try await fixture.enqueue("acme", id: "sync_1")
        try await fixture.enqueue("globex", id: "sync_2")
        _ = try await fixture.run("UPDATE `scheduler_jobs.billing_sync_queue` SET retry_count = 5 WHERE TRUE")
        try await kill(fixture)
        try await kill(fixture)

        let report = try await fixture.retry()

        #expect(report.failures.map(\.subject) == [#""acme" (webhook, sync sync_1)"#])
        #expect(try await fixture.queue()["sync_1"]?.status == "failed")
        #expect(try await fixture.queue()["sync_2"] == QueueRow(status: "completed", retries: 5, isClaimed: false))
    }

    @Test func whatAKilledExecutionHadClaimedComesAfterAllOthersOneByOne() async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-after")
        for number in 1...3 { try await fixture.enqueue("acme", id: "sync_\(number)") }
        try await kill(fixture)
        try await fixture.enqueue("globex", id: "sync_4")
        // The count, six statements for the new one, six for the first of the others, and the claim of the second.
        let dying = FaultyWarehouse(fixture.warehouse, .killedBefore(14))

        await #expect(throws: WarehouseError.self) { try await fixture.retry(on: dying) }

        #expect(
            try await fixture.queue().mapValues(\.status) == [
                "sync_1": "completed", "sync_2": "processing", "sync_3": "processing", "sync_4": "completed",
            ])
    }

    @Test func theyHaveTheirTurnHoweverManyOthersThereAre() async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-turn")
        try await fixture.enqueue("acme", id: "sync_1")
        try await kill(fixture)
        for number in 2...4 { try await fixture.enqueue("globex", id: "sync_\(number)") }

        #expect(try await fixture.retry(limit: 2)["completed"] == 2)

        #expect(
            try await fixture.queue().mapValues(\.status) == [
                "sync_1": "completed", "sync_2": "completed", "sync_3": "pending", "sync_4": "pending",
            ])
    }

    /// An execution that dies as soon as it has claimed something, and then the claim's end.
    private func kill(_ fixture: BillingFixture) async throws {
        let dying = FaultyWarehouse(fixture.warehouse, .killedBefore(Self.afterClaim))
        await #expect(throws: WarehouseError.self) { try await fixture.retry(on: dying) }
        fixture.clock.pass(.seconds(901))
    }

    /// The number of the statement after the count and the claim.
    private static let afterClaim = 2
}
