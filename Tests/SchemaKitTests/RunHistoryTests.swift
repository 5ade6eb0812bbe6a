import EmbeddedWarehouse
import JobRuntime
import TestSupport
import Testing

@testable import Warehouse
@testable import WarehouseKit

@Suite struct RunHistoryTests {
    private static let start = Timestamp("2026-01-31T23:59:59.5Z")!

    @Test func keepsARowWithOutcomeCountsAndFailures() async throws {
        let warehouse = try EmbeddedWarehouse(path: ":memory:")
        _ = try await OrganizationFixture(warehouse)
        let fixture = ReportFixture()
        fixture.report.add(3, to: "organizations")
        fixture.report.fail("acme", "dataset \"acme\" is gone")
        let task = CloudRunTask(job: "j", execution: "j-abc", index: 1, count: 2, attempt: 3)
        let history = RunHistory(job: "org-sync-all", task: task, environment: "prod", startedAt: Self.start)

        _ = try await warehouse.query(
            history.statement(
                fixture.report.outcome(isStopped: false), finishedAt: Self.start.adding(.milliseconds(1500))))

        let rows = try await warehouse.query(Statement("read", "SELECT * FROM `scheduler_jobs.job_runs`")).rows
        let row = try #require(rows.first)
        #expect(rows.count == 1)
        #expect(try row.string("job") == "org-sync-all")
        #expect(try row.string("execution") == "j-abc")
        #expect(try row.int64("task_index") == 1)
        #expect(try row.int64("attempt") == 3)
        #expect(try row.string("status") == "failed")
        #expect(try row.timestamp("started_at") == Self.start)
        #expect(try row.int64("duration_ms") == 1500)
        #expect(row["counts"] == .json(#"{"organizations":3}"#))
        #expect(row["failures"] == .strings([#"acme: dataset "acme" is gone"#]))
    }

    @Test func tellsHowARunEnded() throws {
        #expect(ReportFixture().report.outcome(isStopped: false).status == "succeeded")
        #expect(ReportFixture().report.outcome(isStopped: true).status == "stopped")
        let failed = ReportFixture()
        failed.report.fail("read the profiles", "the warehouse burnt down")
        #expect(failed.report.outcome(isStopped: false).status == "failed")
        #expect(failed.report.outcome(isStopped: false).failures == ["read the profiles: the warehouse burnt down"])
        #expect(failed.report.outcome(isStopped: true).status == "stopped")
        let skipped = ReportFixture()
        skipped.report.skip("another execution holds the lease")
        #expect(skipped.report.outcome(isStopped: false).status == "skipped")
    }
}
