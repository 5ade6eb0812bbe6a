import JobRuntime
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

/// Changes in Stripe reach the warehouse by its events alone.
@Suite struct EventFeedTests {
    /// Both organizations as Stripe has them, and events of everything that changes from now on.
    private func inSync(_ name: String, _ backend: Backend = Backend.allCases[0]) async throws -> BillingFixture {
        let fixture = try await BillingFixture.acmeAndGlobex(name, backend)
        try await fixture.reconcile()
        fixture.recordEvents()
        fixture.clock.pass(.seconds(60))
        return fixture
    }

    private func cursor(_ fixture: BillingFixture) async throws -> EventCursor.State {
        try await EventCursor(warehouse: fixture.metered, now: fixture.clock.now).read()
    }

    @Test(arguments: Backend.allCases)
    func aChangeOfPlanReachesTheLimitsInOneRun(_ backend: Backend) async throws {
        let fixture = try await inSync("billing-events", backend)
        fixture.stripe.change { $0.subscriptions[0].product = "prod_scale" }

        let report = try await fixture.retry()

        #expect(report["events"] == 1 && report["named_by_events"] == 1 && report["completed"] == 1)
        #expect(try await fixture.state("acme")["quota.daily_limit"] == "100")
        #expect(try await fixture.audits("acme").last?.reason == "event")
        #expect(try await fixture.audits("globex").count == 1)
    }

    /// The next passes read the event again, since a late one could stand beside it.
    @Test func anEventIsActedOnOnce() async throws {
        let fixture = try await inSync("billing-events-once")
        fixture.stripe.change { $0.subscriptions[0].cancelsAtPeriodEnd = true }
        fixture.clock.pass(.seconds(90))
        try await fixture.retry()
        fixture.clock.pass(.seconds(300))

        let second = try await fixture.retry()

        #expect(second["events"] == 1 && second["claimed"] == 0)
        fixture.clock.pass(.seconds(600))
        try await fixture.retry()
        #expect(try await fixture.retry()["events"] == 0)
    }

    @Test func aLateEventIsStillRead() async throws {
        let fixture = try await inSync("billing-events-late")
        fixture.stripe.change { $0.subscriptions[0].product = "prod_scale" }
        fixture.stripe.change { $0.events[0].visibleAt += 540_000_000 }
        #expect(try await fixture.retry()["events"] == 0)
        fixture.clock.pass(.seconds(541))

        try await fixture.retry()

        #expect(try await fixture.state("acme")["plan_name"] == "SCALE")
    }

    @Test func bothOrganizationsOfAMovedSubscriptionAreLookedAt() async throws {
        let fixture = try await inSync("billing-events-moved")
        fixture.stripe.change { $0.subscriptions[0].metadata = ["org_slug": "globex"] }

        let report = try await fixture.retry()

        #expect(report["named_by_events"] == 2)
        #expect(try await fixture.state("acme")["status"] == "CANCELLED")
    }

    /// No event has the customer's metadata.
    @Test func aNewSubscriptionIsFoundByItsCustomersMetadata() async throws {
        let fixture = try await inSync("billing-events-customer")
        try await fixture.add("initech")
        fixture.stripe.change {
            $0.customers["cus_3"] = ["org_slug": "initech"]
            $0.subscriptions.insert(.init(id: "sub_3", customer: "cus_3", created: 1_700_000_003), at: 0)
        }

        try await fixture.retry()

        #expect(try await fixture.state("initech")["stripe_subscription_id"] == "sub_3")
    }

    @Test func aSubscriptionOfAnotherBusinessCostsNothing() async throws {
        var fixture = try await inSync("billing-events-foreign")
        fixture.ignore = StripeIgnore("shop_id")
        fixture.stripe.change {
            $0.subscriptions.insert(.init(id: "sub_shop", customer: "cus_shop", metadata: ["shop_id": "7"]), at: 0)
        }

        let report = try await fixture.retry()

        #expect(report["events"] == 1 && report["named_by_events"] == 0)
        #expect(fixture.stripe.requests("/v1/subscriptions/sub_shop") == 0)
    }

    @Test(arguments: Backend.allCases)
    func aChangedPlanIsAReconciliationOfTheWholeAccount(_ backend: Backend) async throws {
        let fixture = try await inSync("billing-events-plan", backend)
        fixture.stripe.change { $0.products["prod_starter"]?["teamMembers"] = "9" }

        let report = try await fixture.retry()

        #expect(report["synced"] == 2 && report["completed"] == 1)
        #expect(try await fixture.state("globex")["seat_limit"] == "9")
    }

    @Test func aProductThatIsNoPlanIsNoReasonForOne() async throws {
        let fixture = try await inSync("billing-events-product")
        fixture.stripe.change { $0.products["prod_shirt"] = ["color": "red"] }

        #expect(try await fixture.retry()["named_by_events"] == 0)
    }

    @Test(arguments: [
        #"{"object": {"object": "subscription"}}"#, #"{"object": "sub_1"}"#, "[]", #"{"object": {"id": 7}}"#,
    ])
    func anEventThatCannotBeReadIsAReconciliation(_ data: String) async throws {
        let fixture = try await inSync("billing-events-unreadable-\(data.count)")
        fixture.stripe.change { $0.subscriptions[0].product = "prod_scale" }
        fixture.stripe.change { account in
            let now = account.clock?() ?? 0
            account.events = [
                .init(id: "evt_1", type: "customer.subscription.updated", created: now, visibleAt: now, data: data)
            ]
        }

        try await fixture.retry()

        #expect(try await fixture.state("acme")["plan_name"] == "SCALE")
    }

    @Test(arguments: Backend.allCases)
    func theFirstRunReconcilesAndThenIsComplete(_ backend: Backend) async throws {
        let fixture = try await BillingFixture.acmeAndGlobex("billing-events-first", backend)
        _ = try await fixture.run("DELETE FROM `scheduler_jobs.billing_event_cursor` WHERE TRUE")

        let report = try await fixture.retry()

        #expect(report["synced"] == 2)
        #expect(try await cursor(fixture).gap == nil)
        #expect(report.output.contains("the gap in Stripe's events is closed"))
    }

    @Test func aGapStaysWhileAnOrganizationCannotBeRead() async throws {
        let fixture = try await inSync("billing-events-gap")
        fixture.clock.pass(.seconds(40 * 86_400))
        fixture.stripe.change { $0.subscriptions[0].product = "prod_gone" }

        let report = try await fixture.retry()

        #expect(report.output.contains("gap since 2026-03-15T"))
        let gap = try #require(try await cursor(fixture).gap)
        fixture.stripe.change { $0.subscriptions[0].product = "prod_scale" }
        try await fixture.reconcile()
        #expect(try await cursor(fixture).gap == nil)
        #expect(try #require(gap.since) < SteadyClock.start.adding(.seconds(86_400)))
    }

    /// A reconciliation that began before the gap was recorded may have read the account before the change that was missed.
    @Test func anOlderReconciliationClosesNoGap() async throws {
        let fixture = try await inSync("billing-events-older")
        let began = fixture.clock.now()
        let cursor = EventCursor(warehouse: fixture.metered, now: fixture.clock.now)
        _ = try await cursor.advance(to: began, queueing: [], gap: .init(since: began, recordedAt: began))

        #expect(try await cursor.close(beganAt: began) == false)
        #expect(try await cursor.read().gap?.since == began)
        #expect(try await cursor.close(beganAt: fixture.clock.now()))
    }

    @Test func withoutPermissionItWorksAsBeforeAndSaysWhatItMisses() async throws {
        let fixture = try await inSync("billing-events-permission")
        try await fixture.enqueue("acme", id: "sync_1")
        fixture.stripe.change {
            $0.subscriptions[0].product = "prod_scale"
            $0.onRequest = { _, request in
                let message = "Having the 'rak_event_read' permission would allow this request to continue."
                return request.path.hasPrefix("/v1/events")
                    ? .json(#"{"error": {"message": "\#(message)"}}"#, status: 403) : nil
            }
        }

        let report = try await fixture.retry()

        #expect(report.failures.isEmpty && report["completed"] == 1)
        #expect(report.warnings.map(\.subject) == ["events"])
        #expect(report.warnings.first?.reason.contains(#""Events: Read""#) == true)
        #expect(try await cursor(fixture).readTo == SteadyClock.start)
    }

    /// An account with roles on tables only is denied access to a table that is not there.
    @Test(arguments: [WarehouseError.Code.notFound, .accessDenied])
    func withoutTheTableItWorksAsBefore(_ code: WarehouseError.Code) async throws {
        let fixture = try await inSync("billing-events-table-\(code)")
        let warehouse = FaultyWarehouse(fixture.warehouse, missingTable: ("billing_event_cursor", code))
        try await fixture.enqueue("acme", id: "sync_1")

        let report = try await fixture.retry(on: warehouse)

        #expect(report["completed"] == 1 && report.failures.isEmpty)
        #expect(report.warnings.first?.reason.contains("run bootstrap") == true)
        try await fixture.reconcile(on: warehouse)
    }

    @Test func tooManyEventsAreAGap() async throws {
        let fixture = try await inSync("billing-events-many")
        fixture.stripe.change { account in
            let now = account.clock?() ?? 0
            account.events = (0..<5200).map {
                .init(id: "evt_\($0)", type: "customer.subscription.updated", created: now, visibleAt: now, data: "{}")
            }
        }

        let report = try await fixture.retry()

        #expect(fixture.stripe.requests("/v1/events") == 51)
        #expect(report["claimed"] == 1 && report["checked"] == 2)
        #expect(try await cursor(fixture).gap == nil)
    }

    @Test func aRunThatIsOvertakenNeverMovesTheCursorBack() async throws {
        let fixture = try await inSync("billing-events-back")
        let cursor = EventCursor(warehouse: fixture.metered, now: fixture.clock.now)
        let (early, late) = (fixture.clock.now(), fixture.clock.now())

        _ = try await cursor.advance(to: late, queueing: [])
        _ = try await cursor.advance(to: early, queueing: [])

        #expect(try await cursor.read().readTo == late)
    }

    @Test func whileTheNightlyReconciliationRunsTheItemWaits() async throws {
        let fixture = try await inSync("billing-events-lease")
        let lease = JobLease(
            warehouse: fixture.warehouse, job: "billing-sync-reconcile", holder: "nightly", validity: .seconds(3600),
            report: ReportFixture().report, now: fixture.clock.now)
        try await lease.acquire()
        fixture.stripe.change { $0.products["prod_starter"]?["teamMembers"] = "9" }

        let report = try await fixture.retry()

        #expect(report["postponed"] == 1 && report.failures.isEmpty && report.warnings.isEmpty)
        let item = try #require(try await fixture.queue().values.first)
        #expect(item.status == "pending" && item.retries == 0)
        await lease.release()
        fixture.clock.pass(.seconds(61))
        #expect(try await fixture.retry()["synced"] == 2)
    }

    @Test func aDryRunSaysWhatItWouldQueue() async throws {
        let fixture = try await inSync("billing-events-dry")
        fixture.stripe.change { $0.subscriptions[0].product = "prod_scale" }

        let report = try await fixture.retry(isDryRun: true)

        #expect(report.output.contains("would queue acme"))
        #expect(try await fixture.queue().isEmpty)
        #expect(try await cursor(fixture).readTo == SteadyClock.start)
    }

    @Test func statisticsSayHowFarEventsWereRead() async throws {
        let fixture = try await inSync("billing-events-stats")
        let report = ReportFixture()

        try await QueueUpkeep(warehouse: fixture.warehouse, report: report.report, now: fixture.clock.now)
            .printStatistics(of: fixture.today)

        #expect(report.output.contains("complete to 2026-03-15T02:00:00"))
    }
}
