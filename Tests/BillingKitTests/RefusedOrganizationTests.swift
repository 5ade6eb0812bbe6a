import EmbeddedWarehouse
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

/// One organization whose state the warehouse refuses.
@Suite struct RefusedOrganizationTests {
    private static let slugs = (1...30).map { "org_\($0)" }

    private func fixture(_ name: String) async throws -> BillingFixture {
        let fixture = try await BillingFixture(Backend.allCases[0], name, Self.slugs)
        fixture.stripe.change { account in
            account.subscriptions = Self.slugs.map {
                .init(id: "sub_\($0)", customer: "cus_\($0)", metadata: ["org_slug": $0])
            }
        }
        return fixture
    }

    private func refusing(_ slugs: Set<String>, _ fixture: BillingFixture) -> FaultyWarehouse {
        FaultyWarehouse(fixture.warehouse, refuses: { !slugs.isDisjoint(with: $0.changedOrganizations) })
    }

    @Test func aReconciliationAppliesAllOthersAndQueuesIt() async throws {
        let fixture = try await fixture("billing-refused")

        let report = try await fixture.reconcile(on: refusing(["org_7", "org_20"], fixture))

        #expect(report["synced"] == 28 && report["errors"] == 2 && report["queued"] == 2)
        #expect(report.failures.map(\.subject) == [#""org_20""#, #""org_7""#])
        #expect(report.failures.first?.reason.hasPrefix("not applied, but queued: could not write") == true)
        #expect(try await fixture.state("org_8")["plan_name"] == "STARTER")
        #expect(try await fixture.state("org_7")["plan_name"] == "OLD")
    }

    /// The subscription of org_1 moves to org_7.
    private func moved(_ name: String) async throws -> BillingFixture {
        let fixture = try await fixture(name)
        try await fixture.reconcile()
        fixture.clock.pass(.seconds(60))
        fixture.stripe.change { account in
            account.subscriptions.removeAll { $0.id == "sub_org_7" }
            account.subscriptions[0].metadata = ["org_slug": "org_7"]
            account.subscriptions[0].product = "prod_scale"
        }
        return fixture
    }

    /// Otherwise nobody would have the service that is paid for.
    @Test func aFormerOwnerStaysWhileTheNewOneIsRefused() async throws {
        let fixture = try await moved("billing-refused-owner")

        let report = try await fixture.reconcile(on: refusing(["org_7"], fixture))

        #expect(try await fixture.state("org_1")["status"] == "ACTIVE")
        #expect(report["queued"] == 2 && report.failures.map(\.subject) == [#""org_7""#])
        try await fixture.retry()
        #expect(try await fixture.state("org_7")["plan_name"] == "SCALE")
        #expect(try await fixture.state("org_1")["status"] == "CANCELLED")
    }

    @Test func aFormerOwnerStaysWhileTheNewOnesPlanIsUnreadable() async throws {
        let fixture = try await moved("billing-refused-plan")
        fixture.stripe.change { $0.products["prod_scale"]?["pipelinesPerDay"] = "many" }

        let report = try await fixture.reconcile()
        try await fixture.enqueue("org_1", id: "sync_1")
        let retried = try await fixture.retry()

        #expect(report.failures.map(\.subject) == [#""org_7""#, #""org_1""#])
        #expect(retried["claimed"] == 2 && retried["postponed"] == 2)
        #expect(try await fixture.state("org_1")["status"] == "ACTIVE")
    }

    @Test func theQueueLeavesAFormerOwnerWhileTheNewOneIsRefused() async throws {
        let fixture = try await moved("billing-refused-owner-queue")
        try await fixture.enqueue("org_1", id: "sync_1")

        let report = try await fixture.retry(on: refusing(["org_7"], fixture))

        #expect(report["claimed"] == 2 && report["postponed"] == 2)
        #expect(try await fixture.state("org_1")["status"] == "ACTIVE")
        fixture.clock.pass(.seconds(300))
        try await fixture.retry()
        #expect(try await fixture.state("org_7")["plan_name"] == "SCALE")
        #expect(try await fixture.state("org_1")["status"] == "CANCELLED")
    }

    @Test func theQueueGoesOnWithoutIt() async throws {
        let fixture = try await fixture("billing-refused-queue")
        for slug in Self.slugs { try await fixture.enqueue(slug, id: slug) }

        let report = try await fixture.retry(on: refusing(["org_7"], fixture))

        let queue = try await fixture.queue()
        #expect(report["completed"] == 29 && report["postponed"] == 1)
        #expect(queue["org_7"]?.status == "pending" && queue["org_7"]?.retries == 1)
        #expect(queue["org_7"]?.error?.hasSuffix("a value is refused (invalid)") == true)
        #expect(try await fixture.state("org_7")["plan_name"] == "OLD")
    }

    @Test func whereEverythingIsRefusedTheSearchEnds() async throws {
        let fixture = try await fixture("billing-all-refused")
        let warehouse = refusing(Set(Self.slugs), fixture)

        let report = try await fixture.reconcile(on: warehouse)

        #expect(report["errors"] == 30 && report["queued"] == 30)
        // Every part of 30 is refused once; the state is read and the queue filled.
        #expect(warehouse.statements == 2 * 30 - 1 + 2)
    }

    /// After one reading all 30 are refused, 15 are written, the other 15 are refused, and then a reply is lost.
    @Test func whatWasWrittenBeforeALostReplyIsNotQueued() async throws {
        let fixture = try await fixture("billing-lost-late")
        let warehouse = FaultyWarehouse(
            fixture.warehouse, .replyLost(4), refuses: { $0.changedOrganizations.contains("org_7") })

        let report = try await fixture.reconcile(on: warehouse)

        #expect(report["synced"] == 15 && report["errors"] == 15 && report["queued"] == 15)
        #expect(report.failures.map(\.subject) == ["15 organizations"])
        #expect(try await fixture.queue().count == 15)
        #expect(try await fixture.state("org_1")["plan_name"] == "STARTER")
    }

    /// The first is found after five refusals, then a reply is lost.
    @Test func whatWasRefusedBeforeALostReplyIsNamed() async throws {
        let fixture = try await fixture("billing-refused-lost")
        let warehouse = FaultyWarehouse(
            fixture.warehouse, .replyLost(6), refuses: { $0.changedOrganizations.contains("org_1") })

        let report = try await fixture.reconcile(on: warehouse)

        #expect(report["synced"] == 0 && report["errors"] == 30 && report["queued"] == 30)
        #expect(report.failures.map(\.subject) == [#""org_1""#, "29 organizations"])
    }

    /// Its first write is the sixth statement; of 25, 12 are written before a reply is lost.
    @Test func theQueueCountsWhatWasWrittenBeforeALostReply() async throws {
        let fixture = try await fixture("billing-queue-lost")
        try await fixture.reconcile()
        fixture.stripe.change { account in
            for index in account.subscriptions.indices { account.subscriptions[index].product = "prod_scale" }
        }
        for slug in Self.slugs { try await fixture.enqueue(slug, id: slug) }
        let warehouse = FaultyWarehouse(
            fixture.warehouse, .replyLost(8), refuses: { $0.changedOrganizations.contains("org_7") })
        let report = ReportFixture()

        await #expect(throws: WarehouseError.self) { try await fixture.retry(on: warehouse, report: report) }

        #expect(report["organizations_changed"] == 12)
        #expect(try await fixture.queue().values.allSatisfy { $0.status == "pending" })
    }

    /// Only the time of the reading would be written, for whoever is at work on the organization.
    @Test func oneWithoutADifferenceIsQueuedToo() async throws {
        let fixture = try await BillingFixture(Backend.allCases[0], "billing-refused-touch")
        fixture.stripe.change { $0.subscriptions = [ReconciliationTests.subscription] }
        try await fixture.reconcile()
        try await fixture.enqueue("acme", id: "sync_1")
        _ = try await fixture.run("UPDATE `scheduler_jobs.billing_sync_queue` SET status = 'processing' WHERE TRUE")

        let report = try await fixture.reconcile(on: refusing(["acme"], fixture))

        #expect(report["mismatches"] == 0 && report["errors"] == 1 && report["queued"] == 1)
        #expect(try await fixture.queue().count == 2)
    }

    @Test func aLostConnectionIsNotLookedForInHalves() async throws {
        let fixture = try await fixture("billing-lost")
        let warehouse = FaultyWarehouse(fixture.warehouse, .replyLost(1))

        let report = try await fixture.reconcile(on: warehouse)

        #expect(report["errors"] == 30 && report["queued"] == 30)
        #expect(warehouse.statements == 3)
    }
}

extension Statement {
    /// The organizations whose billing state it writes.
    fileprivate var changedOrganizations: Set<String> {
        guard case .array(_, let changes)? = parameters.first(where: { $0.name == "changes" })?.value else { return [] }
        return Set(
            changes.compactMap { change in
                guard case .structure(let fields) = change,
                    case .string(let slug)? = fields.first(where: { $0.name == "org_slug" })?.value
                else { return nil }
                return slug
            })
    }
}
