import EmbeddedWarehouse
import Logging
import TestSupport
import Testing

@testable import JobRuntime
@testable import Warehouse
@testable import WarehouseKit

@Suite struct RunHistoryTests {
    private static let start = Timestamp("2026-01-31T23:59:59.5Z")!
    private static let table = "scheduler_jobs.job_runs"

    @Test(arguments: Backend.allCases)
    func keepsARowWithOutcomeCountsAndFailures(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("run-history").bootstrapped()
        let fixture = ReportFixture()
        fixture.report.add(3, to: "organizations")
        fixture.report.fail("acme", "dataset \"acme\" is gone")
        let task = CloudRunTask(job: "j", execution: "j-abc", index: 1, count: 2, attempt: 3)
        let history = RunHistory(job: "org-sync-all", task: task, environment: "prod", startedAt: Self.start)

        _ = try await warehouse.query(
            history.statement(
                fixture.report.outcome(isStopped: false), finishedAt: Self.start.adding(.milliseconds(1500))))

        let rows = try await warehouse.rows(of: Self.table)
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

    @Test func tellsHowARunEnded() {
        #expect(ReportFixture().report.outcome(isStopped: false).status == "succeeded")
        #expect(ReportFixture().report.outcome(isStopped: true).status == "stopped")
        let failed = ReportFixture()
        failed.report.fail("read the profiles", "not yours")
        #expect(failed.report.outcome(isStopped: false).status == "failed")
        #expect(failed.report.outcome(isStopped: false).failures == ["read the profiles: not yours"])
        #expect(failed.report.outcome(isStopped: true).status == "stopped")
        #expect(failed.report.outcome(isStopped: true).failures == ["read the profiles: not yours"])
        let skipped = ReportFixture()
        skipped.report.skip("another execution holds the lease")
        #expect(skipped.report.outcome(isStopped: false).status == "skipped")
    }

    @Test func theRowIsWrittenWhenTheRunCloses() async throws {
        let warehouse = try await EmbeddedWarehouse(path: ":memory:").bootstrapped()
        let (run, log) = run()

        RunHistory(run: run, environment: "prod").writeAtEnd(of: run, to: warehouse)
        let before = try await warehouse.rows(of: Self.table).count
        await close(run, isStopped: false)

        #expect(before == 0)
        #expect(try await warehouse.rows(of: Self.table).map { try $0.string("environment") } == ["prod"])
        #expect(log.all.isEmpty)
    }

    /// The statement ends when the limit cancels it, and otherwise never: without a limit, this test does not end.
    @Test(.timeLimit(.minutes(5)), arguments: [true, false])
    func aWarehouseThatNeverAnswersDelaysTheEndByTheLimitOnly(isStopped: Bool) async throws {
        let warehouse = try await EmbeddedWarehouse(path: ":memory:").bootstrapped()
        let hanging = FaultyWarehouse(
            warehouse, beforeEach: { _ in while true { try await Task.sleep(for: .seconds(3600)) } })
        let (run, log) = run()
        RunHistory(run: run, environment: "prod").writeAtEnd(of: run, to: hanging)

        await close(run, isStopped: isStopped)

        let limit = isStopped ? StopBudget.limit(of: .history) : RunHistory.patience
        #expect(hanging.statements == 1)
        #expect(log.all.count == 1)
        #expect(log.all.first?.hasPrefix("this run has no row in scheduler_jobs.job_runs: ") == true)
        #expect(log.all.first?.contains("\(TimeoutError(limit: limit))") == true)
        #expect(try await warehouse.rows(of: Self.table).isEmpty)
    }

    /// The run reports the whole error anyway, if its work met it, too.
    @Test func theWarningShowsTheCodeOfTheErrorAndNotAllOfIt() async throws {
        let warehouse = try await EmbeddedWarehouse(path: ":memory:").bootstrapped()
        let refusing = FaultyWarehouse(
            warehouse,
            beforeEach: { _ in
                throw WarehouseError(.accessDenied, operation: "write", message: "a long text of the server")
            })
        let (run, log) = run()
        RunHistory(run: run, environment: "prod").writeAtEnd(of: run, to: refusing)

        await close(run, isStopped: false)

        #expect(log.all == ["this run has no row in scheduler_jobs.job_runs: accessDenied"])
    }

    private func run() -> (Run, LogLines) {
        let lines = LogLines()
        let run = Run(
            job: "org-sync-all", isExclusive: false, isDryRun: false, now: Self.start, report: ReportFixture().report,
            logger: lines.logger, task: CloudRunTask(), deadline: nil, leaseValidity: .seconds(3600),
            certificateAuthorityFile: nil)
        return (run, lines)
    }

    private func close(_ run: Run, isStopped: Bool) async {
        await run.closings.close { run.report.outcome(isStopped: isStopped) }
    }
}
