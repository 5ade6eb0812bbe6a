import EmbeddedWarehouse
import Foundation
import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

/// Situations in which a job once decided wrongly: an account (`world.json`) and the rows to start from (`warehouse.sql`), with
/// what is right.
@Suite struct WorldTests {
    private struct World {
        var fixture: BillingFixture
        let stripe: WorldStripe

        /// - Parameter variant: Sets two worlds of one folder apart on the emulator.
        init(_ name: String, _ backend: Backend, variant: String = "once") async throws {
            let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Worlds/\(name)")
            stripe = try WorldStripe(folder)
            fixture = try await BillingFixture(backend, "world-\(name.prefix(2))-\(variant)", [])
            fixture.transport = stripe
            let script = try String(contentsOf: folder.appending(path: "warehouse.sql"), encoding: .utf8)
            for line in script.split(separator: "\n") where !line.isEmpty {
                _ = try await fixture.run(line.replacingOccurrences(of: "{today}", with: fixture.today.description))
            }
        }

        /// Each row of `org_subscriptions` in one line.
        func rows() async throws -> [String] {
            try await fixture.run(
                """
                SELECT org_slug, plan_name, status, daily_limit, IFNULL(stripe_subscription_id, '-') AS subscription
                FROM `organizations.org_subscriptions` ORDER BY org_slug, subscription_id
                """
            ).map { row in
                let texts = try ["org_slug", "plan_name", "status", "subscription"].map { try row.string($0) }
                return "\(texts[0]) \(texts[1]) \(texts[2]) \(try row.int64("daily_limit")) \(texts[3])"
            }
        }

        /// Twice, since the second run must find nothing to do.
        func reconcile(synced: Int) async throws -> ReportFixture {
            let first = try await fixture.reconcile()
            #expect(first["synced"] == synced)
            #expect(try await fixture.reconcile()["synced"] == 0)
            #expect(stripe.problems == [])
            return first
        }
    }

    @Test(arguments: Backend.allCases) func aMovedSubscriptionLeavesItsFormerOwner(_ backend: Backend) async throws {
        let world = try await World("01-moved-subscription", backend)

        let report = try await world.reconcile(synced: 2)

        #expect(try await world.rows() == ["acme STARTER ACTIVE 6 sub_1x", "globex STARTER CANCELLED 6 -"])
        #expect(report.failures.isEmpty)
        #expect(report.warnings.map(\.reason) == [#"is CANCELLED: its subscription sub_1x is that of "acme" now"#])
        #expect(try await world.fixture.audits("globex").map(\.reason) == ["reassigned"])
    }

    @Test(arguments: Backend.allCases) func aMovedSubscriptionLeavesItsFormerOwnerThroughTheQueue(
        _ backend: Backend
    ) async throws {
        let world = try await World("01-moved-subscription", backend, variant: "queue")
        try await world.fixture.enqueue("acme", id: "q", payload: #"{"subscription_id": "sub_1x"}"#)

        let report = try await world.fixture.retry()

        #expect(try await world.rows() == ["acme STARTER ACTIVE 6 sub_1x", "globex STARTER CANCELLED 6 -"])
        #expect(report["claimed"] == 2 && report["completed"] == 2)
        #expect(try await world.fixture.queue().values.allSatisfy { $0.status == "completed" })
    }

    @Test(arguments: ["03-canceled-product-deleted", "04-canceled-metadata-cleared"], Backend.allCases)
    func theEndOfServiceDoesNotWaitForThePlan(_ name: String, _ backend: Backend) async throws {
        let world = try await World(name, backend)

        let report = try await world.reconcile(synced: 1)

        #expect(try await world.rows() == ["acme STARTER CANCELLED 6 sub_1x"])
        #expect(try await world.fixture.state("acme")["subscription_end_date"] == "2026-03-15")
        #expect(report.failures.isEmpty)
        #expect(
            report.warnings.first?.reason.hasPrefix("is CANCELLED, and what cannot be read stays as it was: ") == true)
    }

    @Test(arguments: Backend.allCases) func aCancellationItemIsCompletedAtOnce(_ backend: Backend) async throws {
        let world = try await World("07-cancellation-item-product-gone", backend)

        try await world.fixture.retry()

        #expect(try await world.rows() == ["acme STARTER CANCELLED 6 sub_1x"])
        #expect(try await world.fixture.queue()["q"]?.status == "completed")
    }

    @Test(arguments: Backend.allCases) func anAttemptDoesNotReplaceAContract(_ backend: Backend) async throws {
        let world = try await World("08-abandoned-checkout-cancels-contract", backend)

        let report = try await world.reconcile(synced: 0)
        try await world.fixture.enqueue("acme", id: "q", payload: #"{"subscription_id": "sub_try"}"#)
        try await world.fixture.retry()

        #expect(try await world.rows() == ["acme ENTERPRISE ACTIVE 1000 -"])
        #expect(report["live_without_subscription"] == 1)
        #expect(
            report.warnings.map(\.reason) == [
                "is ACTIVE and stays so: Stripe has only attempts to subscribe: subscription sub_try is incomplete_expired"
            ])
        #expect(try await world.fixture.queue()["q"]?.status == "completed")
    }

    @Test(arguments: Backend.allCases) func whatCanBeResumedCountsBeforeWhatIsOver(_ backend: Backend) async throws {
        let world = try await World("10-paused-and-expired-checkout", backend)

        let report = try await world.fixture.reconcile()

        #expect(try await world.rows() == ["acme STARTER SUSPENDED 6 sub_1paused"])
        #expect(report.failures.isEmpty)
    }

    @Test(arguments: Backend.allCases) func anAddOnDoesNotCompete(_ backend: Backend) async throws {
        let world = try await World("12-addon-subscription", backend)

        let report = try await world.reconcile(synced: 1)

        #expect(try await world.rows() == ["acme SCALE ACTIVE 100 sub_1plan"])
        #expect(report.failures.isEmpty)
    }

    /// A key that names its mode is refused before anything is read; the objects tell where it does not.
    @Test(arguments: Backend.allCases) func objectsOfTestModeAreNotWrittenInProd(_ backend: Backend) async throws {
        var world = try await World("14-test-key-in-prod", backend)
        world.fixture.mode = .live
        let before = try await world.rows()

        let error = await #expect(throws: StripeError.self) { try await world.fixture.reconcile() }
        try await world.fixture.enqueue("acme", id: "q")
        await #expect(throws: StripeError.self) { try await world.fixture.retry() }

        #expect(error?.code == .mode)
        #expect(
            error?.message.hasPrefix("the account's objects are of test mode, and ENVIRONMENT needs live mode") == true)
        #expect(try await world.rows() == before)
        #expect(try await world.fixture.queue()["q"] == QueueRow(status: "pending", retries: 0, isClaimed: false))
    }

    @Test(arguments: Backend.allCases) func aTotalLossIsAFailure(_ backend: Backend) async throws {
        let world = try await World("15-wrong-account-nightly", backend)
        let before = try await world.rows()

        let report = try await world.fixture.reconcile()
        try await world.fixture.enqueue("o0", id: "q")
        let error = await #expect(throws: StripeError.self) { try await world.fixture.retry() }

        #expect(report.failures.map(\.subject) == ["missing_in_stripe"])
        #expect(report["missing_in_stripe"] == 3)
        #expect(error?.code == .account)
        #expect(try await world.rows() == before)
        #expect(try await world.fixture.queue()["q"]?.retries == 0)
    }

    @Test(arguments: Backend.allCases) func aCancellationByThePortalSaysSo(_ backend: Backend) async throws {
        let world = try await World("16-portal-cancel-flexible", backend)

        _ = try await world.reconcile(synced: 1)

        let state = try await world.fixture.state("acme")
        #expect(state["cancel_at_period_end"] == "true")
        #expect(state["subscription_end_date"] == "2026-12-20")
    }

    @Test(arguments: Backend.allCases) func aStoredSubscriptionBelongsToWhoStoresIt(_ backend: Backend) async throws {
        let world = try await World("17-misspelt-slug-of-stored-canceled", backend)

        let report = try await world.reconcile(synced: 1)

        #expect(try await world.rows() == ["acme STARTER CANCELLED 6 sub_1x"])
        #expect(report["unmatched"] == 0)
        #expect(
            report.warnings.map(\.reason) == [
                #"its metadata names nobody; it stays with "acme", which has it stored"#
            ])
    }

    @Test(arguments: Backend.allCases) func severalLiveRowsAreSettledInOneRun(_ backend: Backend) async throws {
        let world = try await World("21-four-live-rows", backend)

        _ = try await world.reconcile(synced: 1)

        #expect(
            try await world.rows() == [
                "acme P0 CANCELLED 6 -", "acme P1 CANCELLED 6 -", "acme P2 CANCELLED 6 -",
                "acme STARTER CANCELLED 6 sub_1x",
            ])
        let changes = try await world.fixture.audits("acme").flatMap(\.changes)
        #expect(changes.contains { $0 == ("other_live_rows", "3", "0") })
    }

    @Test(arguments: Backend.allCases) func aPayloadIsAHint(_ backend: Backend) async throws {
        let world = try await World("23-payload-with-expanded-customer", backend)

        try await world.fixture.retry()

        #expect(try await world.fixture.queue()["q"]?.status == "completed")
        #expect(try await world.rows() == ["acme STARTER ACTIVE 6 sub_1x"])
        #expect(world.stripe.requests.contains { $0.contains("customer=cus_1x") })
    }

    @Test func stripesReasonComesFirst() async throws {
        let world = try await World("24-403-ip", .embedded)

        let error = await #expect(throws: StripeError.self) { try await world.fixture.reconcile() }

        #expect(
            error?.description.hasPrefix(
                "could not list subscriptions: The API key provided does not allow requests from your IP address. - ")
                == true)
        #expect(error?.description.contains("permission") == false)
    }

    @Test(arguments: Backend.allCases) func anOutageCostsNoItemARetry(_ backend: Backend) async throws {
        let world = try await World("26-outage-40-minutes", backend)

        for _ in 0..<7 {
            let error = await #expect(throws: StripeError.self) { try await world.fixture.retry() }
            #expect(
                error?.message
                    == "Service unavailable - Stripe is down or cannot be reached; the items wait, and lose no retry")
        }
        let during = try await world.fixture.queue()
        world.stripe.endFaults()
        let after = try await world.fixture.retry()

        #expect(during.values.allSatisfy { $0 == QueueRow(status: "pending", retries: 0, isClaimed: false) })
        #expect(after["completed"] == 5)
    }
}
