import JobRuntime
import Logging
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@Suite struct StaleRunCleanerTests {
    private let now = instant("2026-03-02T10:00:00Z")

    @Test(arguments: Backend.allCases)
    func endsRunsThatAreOlderThanTheThreshold(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("stale-threshold"))
        let runs = [
            LoggedRun("a_fresh", "acme", "RUNNING", instant("2026-03-02T09:00:00Z")),
            LoggedRun("b_stale", "acme", "RUNNING", instant("2026-03-02T08:59:59.999999Z")),
            LoggedRun("c_queued", "acme", "PENDING", instant("2026-03-01T23:00:00Z")),
            LoggedRun("d_ended", "acme", "COMPLETED", instant("2026-03-02T01:00:00Z")),
            LoggedRun("e_first_of_the_lookback", "acme", "RUNNING", instant("2026-02-23T00:00:00Z")),
            LoggedRun("f_before_the_lookback", "acme", "RUNNING", instant("2026-02-22T23:59:59.999999Z")),
        ]
        try await fixture.add(runs: runs)

        let report = try await fixture.perform(.stale, at: now)

        var expected = runs
        for (index, milliseconds) in [(1, 3_600_000), (2, 39_600_000), (4, 640_800_000)] {
            expected[index].error =
                "\(runs[index].status) for more than 60 minutes: marked as failed by stale-cleanup"
            expected[index].status = "FAILED"
            expected[index].end = now
            expected[index].durationMilliseconds = Int64(milliseconds)
        }
        #expect(try await fixture.runs() == expected)
        #expect(report["runs_marked_failed"] == 3)
        #expect(report.output.contains("acme"))
    }

    @Test(arguments: Backend.allCases)
    func recountsTheLastThreeDaysInOnePass(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("stale-counters"))
        try await fixture.add(runs: [
            LoggedRun("fresh", "acme", "RUNNING", instant("2026-03-02T09:30:00Z")),
            LoggedRun("crashed", "acme", "RUNNING", instant("2026-03-02T03:00:00Z")),
            LoggedRun("crashed_yesterday", "acme", "PENDING", instant("2026-03-01T12:00:00Z")),
            LoggedRun("failed_before", "acme", "FAILED", instant("2026-02-28T12:00:00Z")),
        ])
        try await fixture.add(
            rows: ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"].map { row("acme", $0, 4) })
        try await fixture.add(rows: [row("right", "2026-03-02", 0), row("idle", "2026-03-02", 2)])
        let lines = LogLines()

        let report = try await fixture.perform(.stale, at: now, logger: lines.logger)

        let rows = try await fixture.rows()
        #expect(rows.filter { $0.slug == "acme" }.map(\.running) == [4, 0, 0, 1])
        #expect(rows.filter { $0.slug == "acme" }.map(\.failed) == [0, 1, 1, 1])
        #expect(rows.filter { $0.slug == "acme" }.map(\.updated) == [nil, now, now, now])
        #expect(rows.filter { $0.slug == "acme" }.map(\.highest) == [nil, nil, nil, 1])
        #expect(try await fixture.row("idle")?.running == 0)
        #expect(try await fixture.row("right") == row("right", "2026-03-02", 0))
        #expect(report["rows_changed"] == 4)
        #expect(
            lines.all == [
                "acme 2026-02-28: concurrent_pipelines_running 4 -> 0",
                "acme 2026-02-28: pipelines_failed_today 0 -> 1",
                "acme 2026-03-01: concurrent_pipelines_running 4 -> 0",
                "acme 2026-03-01: pipelines_failed_today 0 -> 1",
                "acme 2026-03-02: concurrent_pipelines_running 4 -> 1",
                "acme 2026-03-02: max_concurrent_reached NULL -> 1",
                "acme 2026-03-02: pipelines_failed_today 0 -> 1",
                "idle 2026-03-02: concurrent_pipelines_running 2 -> 0",
            ])
    }

    @Test(arguments: Backend.allCases)
    func aSecondPassOnlyReads(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("stale-again"))
        try await fixture.add(runs: [LoggedRun("crashed", "acme", "RUNNING", instant("2026-03-02T03:00:00Z"))])
        try await fixture.add(rows: [row("acme", "2026-03-02", 1)])
        try await fixture.perform(.stale, at: now)
        let (runs, rows) = (try await fixture.runs(), try await fixture.rows())
        let watched = FaultyWarehouse(fixture.warehouse)

        let report = try await fixture.perform(.stale, at: now.adding(.seconds(900)), on: watched)

        #expect(watched.statements == 2)
        #expect(try await fixture.runs() == runs)
        #expect(try await fixture.rows() == rows)
        #expect(report["runs_marked_failed"] + report["rows_changed"] == 0)
    }

    @Test(arguments: Backend.allCases)
    func aDryRunSaysWhatItWouldDoAndWritesNothing(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("stale-dry"))
        try await fixture.add(runs: [LoggedRun("crashed", "acme", "RUNNING", instant("2026-03-02T03:00:00Z"))])
        try await fixture.add(rows: [row("acme", "2026-03-02", 1)])
        let (runs, rows) = (try await fixture.runs(), try await fixture.rows())

        let lines = LogLines()

        let report = try await fixture.perform(.stale, at: now, isDryRun: true, logger: lines.logger)

        #expect(
            lines.all == [
                "acme 2026-03-02: concurrent_pipelines_running would change 1 -> 0",
                "acme 2026-03-02: pipelines_failed_today would change 0 -> 1",
            ])
        #expect(report["runs_marked_failed"] == 1)
        #expect(report["rows_changed"] == 1)
        #expect(report.output.contains("would mark 1 run as failed\n"))
        #expect(report.output.contains("would change 1 row\n"))
        #expect(try await fixture.runs() == runs)
        #expect(try await fixture.rows() == rows)
    }

    /// bootstrap-sync adds a column as NULLABLE, so that rows which were there before have NULL in it.
    @Test(arguments: Backend.allCases)
    func countersThatHoldNullAreRecounted(_ backend: Backend) async throws {
        let counters = ["concurrent_pipelines_running", "pipelines_failed_today"]
        let fixture = try await QuotaFixture(widened: ["org_usage_quotas": Set(counters)], backend, "stale-null")
        try await fixture.add(runs: [LoggedRun("fresh", "acme", "RUNNING", instant("2026-03-02T09:30:00Z"))])
        try await fixture.add(rows: [row("acme", "2026-03-02", 0), row("idle", "2026-03-01", 0)])
        try await fixture.run(
            """
            UPDATE `organizations.org_usage_quotas`
            SET concurrent_pipelines_running = NULL, pipelines_failed_today = NULL WHERE true
            """)
        let lines = LogLines()

        let report = try await fixture.perform(.stale, at: now, logger: lines.logger)

        #expect(report["rows_changed"] == 2)
        #expect(try await fixture.rows().map(\.running) == [1, 0])
        #expect(try await fixture.rows().map(\.failed) == [0, 0])
        #expect(lines.all.contains("acme 2026-03-02: concurrent_pipelines_running NULL -> 1"))
        #expect(lines.all.contains("idle 2026-03-01: pipelines_failed_today NULL -> 0"))
    }

    /// The day's highest concurrency is at least the number of runs that are running now.
    @Test(arguments: Backend.allCases)
    func theHighestConcurrencyIsRaisedAndNeverLowered(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("stale-highest"))
        try await fixture.add(active: ["high", "low"])
        try await fixture.add(
            runs: ["high", "low"].flatMap { slug in
                (1...3).map { LoggedRun("\(slug)\($0)", slug, "RUNNING", instant("2026-03-02T09:30:00Z")) }
            })
        let rows = [("high", Int64(5)), ("low", 2)].map { slug, highest in
            var row = row(slug, "2026-03-02", 3)
            row.highest = highest
            return row
        }
        try await fixture.add(rows: rows)

        let report = try await fixture.perform(.stale, at: now)
        #expect(report["rows_changed"] == 1)
        #expect(try await fixture.rows().map(\.highest) == [5, 3])
        try await fixture.run(
            "UPDATE `organizations.org_usage_quotas` SET max_concurrent_reached = 2 WHERE org_slug = 'low'")
        try await fixture.perform(.daily, at: now)
        #expect(try await fixture.rows().map(\.highest) == [5, 3])
    }

    @Test func daysOutsideOfTheLookbackKeepTheirFailedRuns() async throws {
        let fixture = try await QuotaFixture(Backend.allCases[0].warehouse("stale-short"))
        var old = row("acme", "2026-02-28", 2)
        old.failed = 3
        try await fixture.add(rows: [old])

        try await fixture.perform(.stale, at: now, lookbackDays: 1)

        #expect(try await fixture.row("acme")?.running == 0)
        #expect(try await fixture.row("acme")?.failed == 3)
    }

    @Test func thePassAtMidnightSeesTheRunsOfBothDays() async throws {
        let fixture = try await QuotaFixture(Backend.allCases[0].warehouse("stale-midnight"))
        let midnight = instant("2026-03-01T00:00:00Z")
        try await fixture.add(runs: [
            LoggedRun("evening", "acme", "RUNNING", instant("2026-02-28T23:30:00Z")),
            LoggedRun("crashed", "acme", "RUNNING", instant("2026-02-28T22:30:00Z")),
        ])
        try await fixture.add(rows: [row("acme", "2026-02-28", 2), row("acme", "2026-03-01", 2)])

        try await fixture.perform(.stale, at: midnight)

        let rows = try await fixture.rows()
        #expect(rows.map(\.running) == [1, 0])
        #expect(rows.map(\.failed) == [1, 0])
    }

    private func row(_ slug: String, _ date: String, _ running: Int64) -> QuotaRow {
        var row = QuotaRow(
            id: "\(slug)-\(date)", slug: slug, date: CivilDate(date)!, at: Timestamp(startOf: CivilDate(date)!))
        row.running = running
        return row
    }
}
