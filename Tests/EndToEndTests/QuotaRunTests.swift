import EmbeddedWarehouse
import Foundation
import GRDB
import JobRuntime
import TestSupport
import Testing
import Warehouse
import WarehouseKit

/// The four quota jobs as processes, on SQLite.
@Suite(.timeLimit(.minutes(30))) struct QuotaRunTests {
    private static let daily = JobExecutable(product: "QuotaResetDailyJob", name: "quota-reset-daily")
    private static let monthly = JobExecutable(product: "QuotaResetMonthlyJob", name: "quota-reset-monthly")
    private static let stale = JobExecutable(product: "StaleCleanupJob", name: "stale-cleanup")
    private static let cleanup = JobExecutable(product: "QuotaCleanupJob", name: "quota-cleanup")

    /// A job with the moment that it runs for, and the counts of its first run.
    private static let runs: [(job: JobExecutable, now: String, counts: [String: Int])] = [
        (daily, "2026-01-31T00:00:00Z", ["organizations_reset": 2, "rows_created": 2, "rows_changed": 0]),
        (monthly, "2026-02-01T00:05:00Z", ["organizations_reset": 2, "rows_created": 2, "rows_changed": 0]),
        (stale, "2026-01-30T12:00:00Z", ["runs_marked_failed": 1, "rows_changed": 1]),
        (cleanup, "2026-01-31T01:00:00Z", ["rows_deleted": 1]),
    ]

    @Test(arguments: runs.indices)
    func doesItsWorkOnceAndThenRests(_ index: Int) async throws {
        let (job, now, counts) = Self.runs[index]
        let stage = try await stage()
        let before = try await contents(of: stage)

        let first = try await stage.run(job, "--now", now).succeeded()
        let done = try await contents(of: stage)
        let second = try await stage.run(job, "--now", now).succeeded()

        #expect(first.job == job.name)
        #expect(first.counts.merging(counts) { $1 } == first.counts)
        #expect(first.counts["bytes_billed"] == 0)
        #expect(done != before)
        #expect(second.counts.filter { $0.key != "organizations_reset" }.values.allSatisfy { $0 == 0 })
        #expect(try await contents(of: stage) == done)
        #expect(try await leases(of: stage).count { $0.contains(" free") } == (index == 1 ? 2 : 1))
    }

    @Test(arguments: runs.indices)
    func aDryRunTakesNoLeaseAndWritesNothing(_ index: Int) async throws {
        let (job, now, counts) = Self.runs[index]
        let stage = try await stage()
        let before = try await contents(of: stage)

        let summary = try await stage.run(job, "--now", now, "--dry-run").succeeded()

        #expect(summary.dryRun)
        #expect(summary.counts.merging(counts) { $1 } == summary.counts)
        #expect(try await contents(of: stage) == before)
        #expect(try await leases(of: stage).isEmpty)
    }

    @Test(arguments: runs.indices)
    func aHeldLeaseSkipsTheRun(_ index: Int) async throws {
        let (job, now, _) = Self.runs[index]
        let stage = try await stage()
        let before = try await contents(of: stage)
        _ = try await stage.warehouse().query(
            Statement(
                "hold a lease",
                """
                INSERT INTO `scheduler_jobs.job_leases` (job, holder, token, acquired_at, expires_at, updated_at)
                VALUES (@job, @holder, 't', @now, @expiry, @now)
                """,
                parameters: [
                    "job": .string(job.name), "holder": .string("\(job.name) other/0/0"),
                    "now": .timestamp(Timestamp.wallClock()),
                    "expiry": .timestamp(Timestamp.wallClock().adding(.seconds(3600))),
                ]))

        let outcome = try await stage.run(job, "--now", now)

        #expect(outcome.ending == .exited(0))
        let summary = try outcome.summary()
        #expect(summary.status == "skipped")
        #expect(summary.reason?.hasPrefix("the lease of \(job.name) is held by \(job.name) other/0/0") == true)
        #expect(try await contents(of: stage) == before)
    }

    @Test func theMonthlyResetRunsOnTheFirstOrByForce() async throws {
        let stage = try await stage()
        let before = try await contents(of: stage)

        let outcome = try await stage.run(Self.monthly, "--now", "2026-01-31T23:59:59Z")
        let untouched = try await contents(of: stage)
        let forced = try await stage.run(Self.monthly, "--now", "2026-01-31T23:59:59Z", "--force").succeeded()

        #expect(outcome.ending == .exited(0))
        #expect(try outcome.summary().status == "skipped")
        #expect(
            try outcome.summary().reason == "2026-01-31 is not the first of a month; --force runs on any day")
        #expect(untouched == before)
        #expect(forced.counts["rows_created"] == 2)
    }

    /// The harm that each job would do at that time, and the option that does it nevertheless.
    @Test(arguments: [
        (cleanup, "--date", "2999-01-01", "not 90 days old"), (daily, "--date", "9999-12-31", "is to come"),
        (daily, "--date", "0001-01-01", "more than five years ago"), (monthly, "--date", "2062-01-01", "is to come"),
        (stale, "--date", "2999-01-01", "marked as failed"),
        (stale, "--now", "2999-01-01T00:00:00Z", "marked as failed"),
    ])
    func aTimeAtWhichAJobDoesHarmNeedsForce(
        _ job: JobExecutable, _ option: String, _ time: String, _ harm: String
    ) async throws {
        let stage = try await stage()
        let before = try await contents(of: stage)

        let refused = try await stage.run(job, option, time)
        let dry = try await stage.run(job, option, time, "--dry-run").succeeded()
        let untouched = try await contents(of: stage)
        let forced = try await stage.run(job, option, time, "--force").succeeded()

        #expect(refused.ending == .exited(78))
        #expect(refused.error.contains(harm))
        #expect(refused.error.contains("add --force"))
        #expect(dry.dryRun)
        #expect(untouched == before)
        // A pass far from the rows and runs of this test has nothing to do.
        let changes = ["rows_created", "rows_deleted"].compactMap { forced.counts[$0] }.reduce(0, +)
        #expect(changes > 0 || job.name == Self.stale.name)
    }

    @Test func fewDaysMayBeKept() async throws {
        let stage = try await stage()

        let summary = try await stage.run(
            Self.cleanup, "--now", "2026-01-31T01:00:00Z", with: ["DAYS_TO_KEEP": "1"]
        ).succeeded()

        #expect(summary.counts["rows_deleted"] == 1)
    }

    /// Both sides of the day 400 days before 2026-01-31.
    @Test func theCleanupDeletesOldRunsOfTheHistory() async throws {
        let stage = try await stage()
        try await stage.warehouse().insert(
            into: "scheduler_jobs.job_runs",
            [
                ["job": "old", "started_at": "2024-12-26T23:59:59Z", "failures": .strings([])],
                ["job": "kept", "started_at": "2024-12-27T00:00:00Z", "failures": .strings([])],
            ])

        let outcome = try await stage.run(
            Self.cleanup, "--now", "2026-01-31T01:00:00Z", with: ["DAYS_TO_KEEP": "3650", "LOG_FORMAT": "text"])

        #expect(try outcome.succeeded().counts["rows_deleted"] == 1)
        #expect(outcome.output.contains("scheduler_jobs.job_runs: 1 row from before 2024-12-27 deleted"))
        let jobs = try await stage.warehouse().rows(of: "scheduler_jobs.job_runs").map { try $0.string("job") }
        #expect(jobs.contains("kept"))
        #expect(!jobs.contains("old"))
    }

    @Test func countersMayHaveOtherNames() async throws {
        let stage = try await stage()

        let summary = try await stage.run(
            Self.daily, "--now", "2026-01-31T00:00:00Z", with: ["QUOTA_DAILY_COLUMN": "runs_today"]
        ).failed()

        #expect(summary.failures.map(\.reason).joined().contains("runs_today"))
    }

    /// Two organizations, a crashed run with its counter, and an old row.
    private func stage() async throws -> SQLiteStage {
        let stage = try SQLiteStage()
        try await stage.prepare(["acme", "globex"])
        let warehouse = try stage.warehouse()
        for sql in [
            """
            INSERT INTO `organizations.org_subscriptions` (
              subscription_id, org_slug, plan_name, status, daily_limit, monthly_limit, concurrent_limit, created_at)
            SELECT 'sub_' || org_slug, org_slug, 'STARTER', 'ACTIVE', 6, 180, 3, @start
            FROM `organizations.org_profiles`
            """,
            """
            INSERT INTO `organizations.org_meta_pipeline_runs` (
              pipeline_logging_id, org_slug, pipeline_id, status, start_time, created_at)
            VALUES ('crashed', 'acme', 'costs', 'RUNNING', @start, @start)
            """,
            """
            INSERT INTO `organizations.org_usage_quotas` (
              usage_id, org_slug, usage_date, current_daily_pipelines, pipelines_succeeded_today,
              pipelines_failed_today, current_monthly_pipelines, concurrent_pipelines_running, daily_limit,
              last_updated, created_at)
            VALUES ('a', 'acme', @day, 1, 0, 0, 1, 1, 6, @start, @start),
              ('old', 'acme', @old, 1, 0, 0, 1, 0, 6, @start, @start)
            """,
        ] {
            _ = try await warehouse.query(
                Statement(
                    "prepare a test", sql,
                    parameters: [
                        "start": .timestamp(Timestamp("2026-01-30T09:00:00Z")!),
                        "day": .date(CivilDate("2026-01-30")!), "old": .date(CivilDate("2025-10-01")!),
                    ]))
        }
        return stage
    }

    private func contents(of stage: SQLiteStage) async throws -> [String] {
        try await rows(
            of: stage,
            "SELECT * FROM `organizations.org_usage_quotas` ORDER BY 1",
            "SELECT * FROM `organizations.org_meta_pipeline_runs` ORDER BY 1")
    }

    private func leases(of stage: SQLiteStage) async throws -> [String] {
        try await rows(of: stage, "SELECT job || ' ' || coalesce(holder, 'free') FROM `scheduler_jobs.job_leases`")
    }

    private func rows(of stage: SQLiteStage, _ queries: String...) async throws -> [String] {
        try await stage.database().read { database in
            try queries.flatMap { try GRDB.Row.fetchAll(database, sql: $0).map(\.description) }
        }
    }
}
