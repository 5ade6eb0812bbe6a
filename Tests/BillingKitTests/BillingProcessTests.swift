import EmbeddedWarehouse
import Glibc
import HTTPTransport
import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

/// The two jobs as they are shipped, on SQLite and a scripted Stripe.
@Suite struct BillingProcessTests {
    private struct Stage {
        let folder: TemporaryFolder
        let fixture: BillingFixture

        init(_ slugs: [String]) async throws {
            folder = try TemporaryFolder()
            fixture = try await BillingFixture(try EmbeddedWarehouse(path: folder.file("warehouse.db")))
            for slug in slugs { try await fixture.add(slug) }
            // The processes have the machine's clock.
            _ = try await fixture.run(
                "UPDATE `scheduler_jobs.billing_event_cursor` SET read_to = @now WHERE TRUE",
                ["now": .timestamp(.wallClock())])
            fixture.stripe.change { account in
                account.subscriptions = slugs.map {
                    .init(id: "sub_\($0)", customer: "cus_\($0)", metadata: ["org_slug": $0])
                }
            }
        }

        /// With no variables but these and `more`.
        func start(
            _ product: String, _ arguments: String..., more: [String: String] = [:]
        ) throws -> RunningJob {
            let job = try #require(JobExecutable.jobs.first { $0.product == product })
            return try job.start(
                arguments,
                environment: [
                    "WAREHOUSE_URL": "sqlite:\(folder.file("warehouse.db"))", "ENVIRONMENT": "test",
                    "STRIPE_SECRET_KEY": key, "STRIPE_API_BASE": fixture.stripe.server.url,
                ].merging(more) { $1 })
        }

        /// A key of this stage: another test's client may still ask a port that is this server's now.
        private var key: String { "rk_test_NeverShown\(fixture.stripe.server.port)" }

        /// A job of this stage asked for something else than events. One look at the requests: two would differ while they arrive.
        var isAskedForMore: Bool {
            fixture.stripe.server.requests.contains {
                !$0.path.hasPrefix("/v1/events") && $0.headers["Authorization"] == "Bearer \(key)"
            }
        }

        func reconcile() async throws -> JobOutcome {
            try await start("BillingSyncReconcileJob").outcome()
        }

        func retry() async throws -> JobOutcome { try await start("BillingSyncRetryJob").outcome() }
    }

    @Test func withoutOrganizationsThereIsNothingToDo() async throws {
        let stage = try await Stage([])

        let reconciled = try await stage.reconcile()
        let retried = try await stage.retry()

        #expect(reconciled.exitCode == 0 && retried.exitCode == 0)
        let counts = try reconciled.summary().counts
        #expect(counts["subscriptions"] == 0 && counts["checked"] == 0 && counts["errors"] == 0)
        #expect(try retried.summary().counts["claimed"] == 0)
        #expect(try retried.summary().status == "succeeded")
    }

    @Test func theQueueAndThenTheNightBringTheWarehouseToStripe() async throws {
        let stage = try await Stage(["acme", "globex"])
        try await stage.fixture.enqueue("acme", "plan_change", id: "sync_1")

        let retried = try await stage.retry()
        let reconciled = try await stage.reconcile()
        let again = try await stage.reconcile()

        #expect(retried.exitCode == 0 && reconciled.exitCode == 0 && again.exitCode == 0)
        let counts = try retried.summary().counts
        #expect(counts["claimed"] == 1 && counts["completed"] == 1 && counts["organizations_changed"] == 1)
        #expect(try reconciled.summary().counts["synced"] == 1)
        let last = try again.summary()
        #expect(last.status == "succeeded" && last.counts["checked"] == 2 && last.counts["mismatches"] == 0)
        for slug in ["acme", "globex"] {
            #expect(try await stage.fixture.state(slug)["plan_name"] == "STARTER")
            #expect(try await stage.fixture.audits(slug).count == 1)
        }
    }

    @Test func oneThatIsWrongMakesTheExitCodeOneAndTheOthersGoOn() async throws {
        let stage = try await Stage(["acme", "globex"])
        stage.fixture.stripe.change { $0.subscriptions[1].status = "frozen" }
        try await stage.fixture.enqueue("acme", "refund", id: "sync_1")
        try await stage.fixture.enqueue("acme", id: "sync_2")

        let retried = try await stage.retry()
        let again = try await stage.retry()
        let reconciled = try await stage.reconcile()

        #expect(retried.exitCode == 1 && again.exitCode == 0 && reconciled.exitCode == 1)
        let first = try retried.summary()
        #expect(first.status == "failed" && first.counts["completed"] == 1)
        #expect(first.failures.map(\.subject) == [#""acme" (refund, sync sync_1)"#])
        #expect(try again.summary().counts["claimed"] == 0)
        let night = try reconciled.summary()
        #expect(night.failures.map(\.subject) == [#""globex""#])
        #expect(night.counts["checked"] == 2 && night.counts["errors"] == 1)
    }

    /// It would write today's limits into the row of that day.
    @Test(arguments: ["BillingSyncReconcileJob", "BillingSyncRetryJob"])
    func anotherDayThanTodayNeedsForce(_ product: String) async throws {
        let stage = try await Stage(["acme"])

        let refused = try await stage.start(product, "--date", "2026-01-15").outcome()
        let requests = stage.fixture.stripe.requests()
        let previewed = try await stage.start(product, "--date", "2026-01-15", "--dry-run").outcome()
        let forced = try await stage.start(product, "--date", "2026-01-15", "--force").outcome()

        #expect(refused.exitCode == 78 && requests == 0)
        #expect(previewed.exitCode == 0 && forced.exitCode == 0)
    }

    @Test func aQueueThatIsStoppedGivesItsItemsBack() async throws {
        let stage = try await Stage(["acme"])
        try await stage.fixture.enqueue("acme", id: "sync_1")

        let stopped = try await stop(stage, "BillingSyncRetryJob")

        #expect(stopped.counts["claimed"] == 1 && stopped.counts["completed"] == 0)
        #expect(
            try await stage.fixture.queue()["sync_1"] == QueueRow(status: "pending", retries: 0, isClaimed: false))
        #expect(try await stage.retry().summary().counts["completed"] == 1)
    }

    /// The execution is killed while it waits for Stripe; its item comes back at the very end of its lease.
    @Test(arguments: [([:], 900), (["ITEM_LEASE_SECONDS": "10"], 10), (["ITEM_LEASE_SECONDS": "7200"], 7200)])
    func aKilledQueueGivesItsItemsBackAfterItemLeaseSeconds(
        _ variables: [String: String], _ seconds: Int
    ) async throws {
        let stage = try await Stage(["acme"])
        try await stage.fixture.enqueue("acme", id: "sync_1")
        stage.fixture.stripe.change {
            $0.onRequest = { _, request in
                request.path.hasPrefix("/v1/events") ? nil : .delayed(.seconds(600), .json("{}"))
            }
        }
        let job = try stage.start("BillingSyncRetryJob", more: variables)
        while job.isRunning, !stage.isAskedForMore { try await Task.sleep(for: .milliseconds(5)) }
        job.send(SIGKILL)
        _ = try await job.outcome()
        stage.fixture.stripe.change { $0.onRequest = nil }
        let row = try #require(
            try await stage.fixture.run(
                "SELECT updated_at, lease_expires_at FROM `scheduler_jobs.billing_sync_queue`"
            ).first)
        let (claimed, expires) = (try row.timestamp("updated_at"), try row.timestamp("lease_expires_at"))

        let before = try await stage.fixture.retry(at: expires.adding(.microseconds(-1)))
        let after = try await stage.fixture.retry(at: expires)

        #expect(expires == claimed.adding(.seconds(seconds)))
        #expect(before["claimed"] == 0)
        #expect(after["claimed"] == 1 && after["completed"] == 1)
    }

    @Test func aReconciliationThatIsStoppedChangesNothingAndRunsAgain() async throws {
        let stage = try await Stage(["acme"])

        _ = try await stop(stage, "BillingSyncReconcileJob")

        #expect(try await stage.fixture.state("acme")["plan_name"] == "OLD")
        #expect(try await stage.reconcile().summary().counts["synced"] == 1)
    }

    /// While it waits for Stripe.
    private func stop(_ stage: Stage, _ product: String) async throws -> JobSummary {
        stage.fixture.stripe.change {
            $0.onRequest = { _, request in
                request.path.hasPrefix("/v1/events") ? nil : .delayed(.seconds(600), .json("{}"))
            }
        }
        let job = try stage.start(product)
        while job.isRunning, !stage.isAskedForMore { try await Task.sleep(for: .milliseconds(5)) }
        job.send(SIGTERM)
        let outcome = try await job.outcome()
        stage.fixture.stripe.change { $0.onRequest = nil }
        #expect(outcome.exitCode == 75, "\(outcome.output) \(outcome.error)")
        let summary = try outcome.summary()
        #expect(summary.status == "stopped" && summary.reason == "SIGTERM received")
        return summary
    }

    @Test(arguments: ["BillingSyncReconcileJob", "BillingSyncRetryJob"])
    func aKeyOfTheOtherModeEndsTheRunBeforeAnythingIsRead(_ product: String) async throws {
        let stage = try await Stage(["acme"])
        try await stage.fixture.enqueue("acme", id: "sync_1")

        let outcome = try await stage.start(product, more: ["ENVIRONMENT": "prod"]).outcome()

        #expect(outcome.exitCode == 78)
        #expect(stage.fixture.stripe.requests() == 0)
        #expect((outcome.output + outcome.error).contains("STRIPE_SECRET_KEY is a key of test mode (it is not shown)"))
        #expect(!(outcome.output + outcome.error).contains("NeverShown"))
    }

    @Test func anUnknownIdCannotBeRequeued() async throws {
        let stage = try await Stage([])

        let one = try await stage.start("BillingSyncRetryJob", "--requeue", "nobody").outcome()
        let all = try await stage.start("BillingSyncRetryJob", "--requeue", "all").outcome()

        #expect(one.exitCode == 1 && all.exitCode == 0)
        let failures = try one.summary().failures
        #expect(failures.map(\.subject) == [#""nobody""#])
        #expect(failures.map(\.reason) == ["no failed sync has this id"])
    }

    @Test func aKeyThatIsRefusedEndsTheRunAndIsNotShown() async throws {
        let stage = try await Stage(["acme"])
        stage.fixture.stripe.change {
            $0.onRequest = { _, _ in
                .json(#"{"error": {"message": "Invalid API Key: rk_test_NeverShown01"}}"#, status: 401)
            }
        }

        let outcome = try await stage.reconcile()

        #expect(outcome.exitCode == 1)
        #expect(outcome.error.contains("does not accept STRIPE_SECRET_KEY"))
        #expect(!(outcome.output + outcome.error).contains("NeverShown"))
    }
}
