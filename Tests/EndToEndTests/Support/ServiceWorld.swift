import Foundation
import JobRuntime
import SchemaKit
import Synchronization
import TestSupport
import Testing
import Warehouse
import WarehouseKit

/// A project in which all ten jobs have something to do, each as the account of its own. The emulator notes what they use, and
/// with ``enforce(_:)`` it refuses what their accounts may not do.
final class ServiceWorld: Sendable {
    let stage: EmulatorStage
    private let stripe: ScriptedServer
    private let seen = Mutex<Set<String>>([])

    /// The purposes of the statements that the jobs sent so far.
    var statements: Set<String> { seen.withLock { $0 } }

    /// With the two datasets, as `create-all-jobs.sh` creates them, and with no table.
    init() async throws {
        stage = try await .shared
        stripe = try ScriptedServer(Self.answer)
        for dataset in [DatasetID.organizations, .schedulerJobs] {
            _ = try await stage.warehouse().createDataset(Dataset(id: dataset, location: "US"))
        }
    }

    func enforce(_ access: DeployedAccess) async throws {
        try await stage.emulator.enforce(try access.json, in: stage.project)
    }

    func run(
        _ job: String, _ arguments: String..., and more: [String] = [], with variables: [String: String] = [:]
    ) async throws -> JobOutcome {
        let own = [
            "BIGQUERY_EMULATOR_HOST": "\(stage.emulator.url)/as/\(job)", "LOG_LEVEL": "debug",
            "STRIPE_SECRET_KEY": job.hasPrefix("billing") ? "rk_test_NeverShown01" : "",
            "STRIPE_API_BASE": job.hasPrefix("billing") ? stripe.url : "",
        ]
        let outcome = try await JobExecutable.named(job).run(
            arguments + more, environment: stage.with(own.merging(variables) { $1 }))
        let messages = try outcome.logEntries().compactMap { $0["message"] as? String }
        let purposes = messages.filter { $0.hasPrefix("statement: ") }.map { String($0.dropFirst("statement: ".count)) }
        seen.withLock { $0.formUnion(purposes) }
        return outcome
    }

    /// Every job, in every mode that sends statements of its own.
    /// - Parameter bootstrapped: Called as soon as the tables exist, as an operator runs `create-all-jobs.sh` again.
    func runEveryJob(once bootstrapped: () async throws -> Void) async throws {
        _ = try await run("bootstrap").succeeded()
        try await bootstrapped()
        _ = try await run("bootstrap").succeeded()
        _ = try await run("bootstrap", "--dry-run").succeeded()
        try await syncSchemas()
        try await addRows()
        try await runQuotaJobs()
        try await runBillingJobs()
        // It finds what these runs at other times have left behind, looks twice, and appends its result.
        let outcome = try await run("verify")
        let summary = try outcome.failed()
        #expect(summary.counts["invariants_unreadable"] == 0, "\(summary.failures)")
    }

    private func syncSchemas() async throws {
        let wider = try CatalogCopy()
        for table in ["organizations/org_profiles", "operations/job_runs", "organization/subscription_plans"] {
            try wider.addColumn("mood", to: table)
            try wider.changeFields(of: table) { $0[0]["description"] = "Described anew" }
        }
        let kinds = ["clustering", "descriptions", "labels", "defaults"].flatMap { ["--apply", $0] }
        _ = try await run("org-sync-all").succeeded()
        try await stage.add(["acme", "globex"])
        // Their datasets do not exist yet, so verify reads their tables one by one.
        _ = try await run("verify", "--dry-run").failed()
        _ = try await run("bootstrap-sync", "--explain", with: wider.variables).succeeded()
        _ = try await run("bootstrap-sync", and: kinds, with: wider.variables).succeeded()
        // Many tables are created by scripts, and those of one organization by requests.
        _ = try await run("org-sync-all", "--dry-run").succeeded()
        _ = try await run("org-sync-all").succeeded()
        try await stage.add(["initech"])
        _ = try await run("org-sync-all", "--org", "initech").succeeded()
        _ = try await run("org-sync-all", "--explain", with: wider.variables).succeeded()
        let waves = ["--waves", "1,all", "--pause", "1s"]
        _ = try await run("org-sync-all", and: waves + kinds, with: wider.variables).succeeded()
    }

    private func addRows() async throws {
        let warehouse = try stage.warehouse()
        let slugs = ["acme", "globex"]
        try await warehouse.insert(
            into: "organizations.org_subscriptions",
            slugs.map {
                [
                    "org_slug": .string($0), "subscription_id": .string("row_\($0)"), "status": "ACTIVE",
                    "daily_limit": 6,
                ]
            })
        // It was read after the listing of the reconciliation, by a clock that is ahead, so the reconciliation queues it.
        let ahead = Timestamp.wallClock().adding(.seconds(1800))
        try await warehouse.insert(
            into: "organizations.org_subscriptions",
            [
                [
                    "org_slug": "initech", "subscription_id": "row_initech", "status": "ACTIVE",
                    "stripe_read_at": .timestamp(ahead),
                ]
            ])
        try await warehouse.insert(
            into: "organizations.org_meta_pipeline_runs",
            [
                [
                    "pipeline_logging_id": "r1", "org_slug": "acme", "status": "COMPLETED",
                    "start_time": "2026-01-31T01:00:00Z",
                ],
                [
                    "pipeline_logging_id": "r2", "org_slug": "acme", "status": "RUNNING",
                    "start_time": "2026-01-31T02:00:00Z",
                ],
            ])
        try await warehouse.insert(
            into: "organizations.org_usage_quotas",
            [["org_slug": "acme", "usage_id": "q1", "usage_date": "2025-01-31", "daily_limit": 6]])
    }

    private func runQuotaJobs() async throws {
        let evening = "2026-01-31T20:00:00Z"
        for options in [["--dry-run"], [], []] {
            for job in ["quota-reset-daily", "stale-cleanup", "quota-cleanup"] {
                _ = try await run(job, "--now", evening, and: options).succeeded()
            }
            _ = try await run("quota-reset-monthly", "--now", "2026-02-01T00:05:00Z", and: options).succeeded()
        }
    }

    private func runBillingJobs() async throws {
        let (retry, reconcile) = ("billing-sync-retry", "billing-sync-reconcile")
        // The reconciliation closes this gap, and the queue's job finds a new one.
        try await stage.warehouse().insert(
            into: "scheduler_jobs.billing_event_cursor",
            [
                [
                    "read_to": "2025-01-01T00:00:00Z", "gap_recorded_at": "2025-01-01T00:00:00Z",
                    "updated_at": "2025-01-01T00:00:00Z",
                ]
            ])
        _ = try await run(reconcile).succeeded()
        // The queue's job has something to write, too.
        _ = try await stage.warehouse().query(
            Statement(
                "change a plan by hand",
                "UPDATE `organizations.org_subscriptions` SET plan_name = 'OLD' WHERE org_slug = 'acme'"))
        _ = try await run(retry, "--enqueue", "acme", "--why", "by hand").succeeded()
        // One fails for good: it is of no known type.
        try await stage.warehouse().insert(
            into: "scheduler_jobs.billing_sync_queue",
            [["sync_id": "s1", "org_slug": "globex", "sync_type": "unknown", "status": "pending", "max_retries": 5]])
        _ = try await run(retry, "--stats").succeeded()
        _ = try await run(retry, "--dry-run").succeeded()
        _ = try await run(retry).failed()
        _ = try await run(retry, "--requeue", "all", "--dry-run").succeeded()
        _ = try await run(retry, "--requeue", "all").succeeded()
        _ = try await run(reconcile, "--dry-run").succeeded()
        _ = try await run(reconcile, "--cancel-missing").succeeded()
        _ = try await run(reconcile).succeeded()
    }

    /// A Stripe account with a subscription of each organization; every other listing is empty.
    private static func answer(_ request: ScriptedRequest) -> ScriptedReply {
        let subscriptions = ["acme", "globex", "initech"].map { slug in
            """
            {"id": "sub_\(slug)", "object": "subscription", "customer": "cus_\(slug)", "status": "active", "created": 1700000000,
             "metadata": {"org_slug": "\(slug)"}, "cancel_at_period_end": false, "trial_end": null, "ended_at": null,
             "cancel_at": null, "items": {"object": "list", "has_more": false, "data": [{"id": "si_\(slug)",
             "current_period_end": 1900000000, "price": {"id": "price_1", "product": "prod_1"}}]}}
            """
        }
        let objects =
            switch request.path {
            case "/v1/subscriptions": subscriptions
            case "/v1/products":
                [
                    #"{"id": "prod_1", "metadata": {"plan_id": "starter", "teamMembers": "2", "providers": "3", "pipelinesPerDay": "9"}}"#
                ]
            case "/v1/prices": [#"{"id": "price_1", "product": "prod_1"}"#]
            default: [String]()
            }
        return .json(#"{"object": "list", "has_more": false, "data": [\#(objects.joined(separator: ", "))]}"#)
    }
}
