import JobRuntime
import QuotaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

/// Histories of one organization after which the counters once were wrong, in the sense of the service that enforces them.
/// That service counts successful runs, in the row of the day on which a run was reserved.
@Suite struct QuotaHistoryTests {
    private let ten = instant("2026-03-10T09:00:00Z")

    @Test(arguments: Backend.allCases)
    func failedRunsUseUpNoMonth(_ backend: Backend) async throws {
        let fixture = try await acme(backend, "history-month")
        try await fixture.add(
            runs: (1...10).map { day in
                let start = Timestamp(startOf: CivilDate("2026-03-01")!.adding(days: day - 1)).adding(.seconds(36_000))
                return LoggedRun("r\(day)", "acme", day % 2 == 0 ? "FAILED" : "COMPLETED", start)
            })

        try await fixture.perform(.daily, at: instant("2026-03-15T00:00:20Z"))

        let row = try #require(try await fixture.row("acme"))
        #expect([row.daily, row.monthly] == [0, 5])
    }

    @Test(arguments: Backend.allCases)
    func aResetInTheDayLeavesRightCounters(_ backend: Backend) async throws {
        let fixture = try await acme(backend, "history-by-day")
        let words = ["COMPLETED", "COMPLETED", "FAILED", "FAILED", "FAILED", "CANCELLED"]
        try await fixture.add(
            runs: words.enumerated().map {
                LoggedRun("r\($0)", "acme", $1, instant("2026-03-10T0\($0 + 1):00:00Z"))
            })
        try await fixture.add(rows: [row { ($0.daily, $0.succeeded, $0.monthly) = (2, 2, 2) }])

        try await fixture.perform(.daily, at: ten)

        let row = try #require(try await fixture.row("acme"))
        #expect([row.daily, row.succeeded, row.failed, row.monthly] == [2, 2, 3, 2])
    }

    @Test(arguments: Backend.allCases)
    func aRunInProgressIsNotCountedTwice(_ backend: Backend) async throws {
        let fixture = try await acme(backend, "history-progress")
        try await fixture.add(runs: [LoggedRun("r1", "acme", "RUNNING", instant("2026-03-10T00:00:05Z"))])
        try await fixture.add(rows: [row { $0.running = 1 }])

        try await fixture.perform(.daily, at: instant("2026-03-10T00:00:20Z"))
        try await Service(fixture).end("r1", as: "COMPLETED", "acme", reserved: ten.date)

        let row = try #require(try await fixture.row("acme"))
        #expect([row.daily, row.monthly, row.succeeded, row.running] == [1, 1, 1, 0])
    }

    /// Two of the three were refused before they reached the log.
    @Test(arguments: Backend.allCases)
    func refusedRunsStayCounted(_ backend: Backend) async throws {
        let fixture = try await acme(backend, "history-refused")
        try await fixture.add(runs: [LoggedRun("r1", "acme", "FAILED", instant("2026-03-10T08:00:00Z"))])
        try await fixture.add(rows: [row { $0.failed = 3 }])

        for job in [QuotaFixture.Job.stale, .daily] {
            try await fixture.perform(job, at: ten)
            #expect(try await fixture.row("acme")?.failed == 3)
        }
    }

    /// A hung run does not come back as running in a recount of its day.
    @Test(arguments: Backend.allCases)
    func aPassForADayGoneByKnowsWhatIsStaleNow(_ backend: Backend) async throws {
        let fixture = try await acme(backend, "history-late-pass")
        let days = ["2026-03-07", "2026-03-08", "2026-03-09", "2026-03-10"]
        try await fixture.add(rows: days.map { row($0) })
        try await fixture.add(runs: [
            LoggedRun("hung", "acme", "RUNNING", instant("2026-03-08T12:00:00Z")),
            LoggedRun("alive", "acme", "RUNNING", instant("2026-03-10T08:30:00Z")),
        ])

        try await fixture.perform(.stale, at: instant("2026-03-08T00:00:00Z"), clock: ten)

        #expect(try await fixture.rows().map(\.running) == [0, 0, 0, 0])
        #expect(try await fixture.rows().map(\.failed) == [0, 1, 0, 0])
        let runs = try await fixture.runs()
        #expect(runs.map(\.status) == ["RUNNING", "FAILED"])
        #expect(runs.last?.end == ten)
    }

    @Test(arguments: Backend.allCases)
    func aRunThatIsBeingCanceledIsStillAtWork(_ backend: Backend) async throws {
        let fixture = try await acme(backend, "history-canceling")
        let start = instant("2026-03-10T08:00:00Z")
        try await fixture.add(runs: [
            LoggedRun("r1", "acme", "CANCELLING", start), LoggedRun("r2", "acme", "RUNNING", start),
        ])
        try await fixture.add(rows: [row { $0.running = 2 }])

        try await fixture.perform(.stale, at: instant("2026-03-10T08:05:00Z"))
        #expect(try await fixture.row("acme")?.running == 2)
        try await Service(fixture).end("r1", as: "CANCELLED", "acme", reserved: ten.date)
        #expect(try await fixture.row("acme")?.running == 1)
        try await fixture.perform(.stale, at: instant("2026-03-10T08:06:00Z"))
        #expect(try await fixture.row("acme")?.running == 1)
    }

    @Test(arguments: Backend.allCases)
    func aRunWhoseCancelingDiedIsEnded(_ backend: Backend) async throws {
        let fixture = try await acme(backend, "history-canceling-dead")
        try await fixture.add(runs: [LoggedRun("r1", "acme", "CANCELLING", instant("2026-03-09T08:00:00Z"))])
        try await fixture.add(rows: [row("2026-03-09") { $0.running = 1 }])

        let report = try await fixture.perform(.stale, at: ten)

        let run = try #require(try await fixture.runs().first)
        #expect(run.status == "FAILED")
        #expect(run.error?.hasPrefix("CANCELLING for more than 60 minutes") == true)
        #expect(try await fixture.row("acme")?.running == 0)
        #expect(report["runs_marked_failed"] == 1)
    }

    @Test(arguments: Backend.allCases)
    func openRunsBeforeTheLookbackAreReported(_ backend: Backend) async throws {
        let fixture = try await acme(backend, "history-unread")
        try await fixture.add(runs: [
            LoggedRun("a", "acme", "RUNNING", instant("2026-03-02T23:59:59.999999Z")),
            LoggedRun("b", "acme", "PENDING", instant("2024-01-01T00:00:00Z")),
            LoggedRun("c", "acme", "FAILED", instant("2024-01-01T00:00:00Z")),
        ])

        let report = try await fixture.perform(.stale, at: instant("2026-03-10T00:59:59Z"))
        let later = try await fixture.perform(.stale, at: instant("2026-03-10T01:00:00Z"))

        #expect(later.warnings.isEmpty)
        #expect(later["open_runs_not_read"] == 0)
        #expect(report["open_runs_not_read"] == 2)
        #expect(report.warnings.map(\.subject) == ["runs from before 2026-03-03"])
        #expect(report.warnings.first?.reason.hasPrefix("2 are open since 2024-01-01T00:00:00") == true)
        #expect(try await fixture.runs().map(\.status) == ["RUNNING", "PENDING", "FAILED"])
    }

    @Test(arguments: Backend.allCases)
    func aPassReportsADayThatIsThereTwice(_ backend: Backend) async throws {
        let fixture = try await acme(backend, "history-twice")
        var twin = row()
        twin.id = "uuid"
        try await fixture.add(rows: [row(), twin])

        let report = try await fixture.perform(.stale, at: ten)

        #expect(
            report.warnings.map(\.reason) == [
                "days that an organization has several times: 1 (acme has 2 for 2026-03-10); all of a day's rows get the same "
                    + "values, so delete all but one"
            ])
    }

    /// The row of the day on which they were reserved has them, so that the service subtracts from it.
    @Test(arguments: Backend.allCases)
    func runsOverMidnightStayInTheRowOfTheirDay(_ backend: Backend) async throws {
        let fixture = try await acme(backend, "history-midnight")
        try await fixture.add(
            runs: ["r1", "r2"].map { LoggedRun($0, "acme", "RUNNING", instant("2026-03-09T23:50:00Z")) })
        try await fixture.add(rows: [row("2026-03-09") { $0.running = 2 }])

        try await fixture.perform(.daily, at: instant("2026-03-10T00:00:20Z"))
        try await fixture.perform(.stale, at: instant("2026-03-10T00:01:00Z"))
        #expect(try await fixture.rows().map(\.running) == [2, 0])
        for run in ["r1", "r2"] {
            try await Service(fixture).end(run, as: "COMPLETED", "acme", reserved: ten.date.adding(days: -1))
        }
        try await fixture.perform(.stale, at: instant("2026-03-10T00:15:00Z"))

        #expect(try await fixture.rows().map(\.running) == [0, 0])
        #expect(try await fixture.rows().map(\.daily) == [2, 0])
    }

    /// Nothing in the row tells a reservation of a second ago from one that was left behind, so the log decides.
    @Test(arguments: Backend.allCases)
    func aReservationThatIsNotInTheLogIsNotCounted(_ backend: Backend) async throws {
        let fixture = try await acme(backend, "history-reserved")
        try await fixture.add(rows: [row()])
        #expect(try await Service(fixture).reserve("acme", on: ten.date))

        try await fixture.perform(.stale, at: ten)
        #expect(try await fixture.row("acme")?.running == 0)
        try await fixture.add(runs: [LoggedRun("r1", "acme", "RUNNING", ten.adding(.seconds(1)))])
        try await fixture.perform(.stale, at: ten.adding(.seconds(900)))

        #expect(try await fixture.row("acme")?.running == 1)
    }

    @Test(arguments: Backend.allCases)
    func aDayGoneByKeepsItsMonthAndItsLimits(_ backend: Backend) async throws {
        let fixture = try await acme(backend, "history-day-gone-by")
        try await fixture.add(
            runs: (1...20).map { day in
                LoggedRun(
                    "r\(day + 100)", "acme", "COMPLETED",
                    Timestamp(startOf: CivilDate("2026-03-01")!.adding(days: day - 1)))
            })
        try await fixture.add(rows: [row { ($0.daily, $0.monthly, $0.dailyLimit) = (9, 99, 3) }])

        try await fixture.perform(
            .daily, at: Timestamp(startOf: ten.date), clock: instant("2026-03-28T10:00:00Z"))

        let row = try #require(try await fixture.row("acme"))
        #expect([row.daily, row.monthly, row.dailyLimit] == [1, 10, 3])
    }

    private func acme(_ backend: Backend, _ project: String) async throws -> QuotaFixture {
        let fixture = try await QuotaFixture(backend.warehouse(project))
        try await fixture.add(active: ["acme"])
        return fixture
    }

    private func row(_ day: String = "2026-03-10", _ change: (inout QuotaRow) -> Void = { _ in }) -> QuotaRow {
        let date = CivilDate(day)!
        var row = QuotaRow(id: "acme-\(day)", slug: "acme", date: date, at: Timestamp(startOf: date))
        row.take(Limits(daily: 6))
        change(&row)
        return row
    }
}

/// Resets that find nobody to serve although there are profiles.
@Suite struct QuotaNobodyTests {
    private let now = instant("2026-03-10T00:00:20Z")

    @Test(arguments: Backend.allCases)
    func isAFailureWhereNoActiveProfileHasALiveSubscription(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("nobody-live"))
        try await fixture.add(profiles: [("a", "ACTIVE"), ("b", "ACTIVE"), ("c", "ACTIVE")])
        try await fixture.add(subscriptions: [subscription("a", "active"), subscription("b", "CANCELLED")])

        for job in [QuotaFixture.Job.daily, .monthly] {
            let report = try await fixture.perform(job, at: now)

            #expect(report.failures.map(\.subject) == ["organizations"])
            #expect(
                report.failures.first?.reason.hasPrefix(
                    "none of 3 ACTIVE profiles has a live subscription (live subscriptions in all: 0, with a live status in "
                        + "other capitals: 1)") == true)
            #expect(report["organizations_reset"] == 0)
        }
        #expect(try await fixture.rows().isEmpty)
    }

    @Test(arguments: Backend.allCases)
    func isAWarningWhereSomeHaveOne(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("nobody-some"))
        try await fixture.add(profiles: [("a", "ACTIVE"), ("b", "ACTIVE"), ("c", "DELETED")])
        try await fixture.add(subscriptions: [subscription("a", "ACTIVE")])

        let report = try await fixture.perform(.daily, at: now)

        #expect(report.failures.isEmpty)
        #expect(
            report.warnings.map(\.reason) == [
                "1 of 2 ACTIVE profiles have no live subscription and get no row (live subscriptions in all: 1, with a live "
                    + "status in other capitals: 0)"
            ])
    }

    @Test(arguments: Backend.allCases)
    func isAWarningWhereNoProfileIsActive(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("nobody-active"))
        try await fixture.add(profiles: [("a", "active"), ("b", "DELETED")])
        try await fixture.add(subscriptions: [subscription("a", "ACTIVE")])

        let report = try await fixture.perform(.daily, at: now)
        let counts = try await OrganizationDirectory(environment: .test).counts(in: fixture.warehouse)

        let reason = "none of 2 in org_profiles has the status ACTIVE; 1 have that status in other capitals"
        #expect(report.warnings.map(\.reason) == [reason])
        #expect(counts.reasonForNoneActive == reason)
    }

    private func subscription(_ slug: String, _ status: String) -> Subscription {
        Subscription(
            id: "sub_\(slug)", slug: slug, status: status, limits: Limits(daily: 6), created: QuotaFixture.longAgo)
    }
}

/// The updates of the service that enforces the limits, in its own order: first the log, then the row.
struct Service: Sendable {
    private let fixture: QuotaFixture

    init(_ fixture: QuotaFixture) {
        self.fixture = fixture
    }

    /// Adds a run to today's row, if the limits allow it. Inserts the row if there is none.
    /// - Returns: Whether the limits allow it.
    func reserve(_ slug: String, on day: CivilDate) async throws -> Bool {
        let parameters: KeyValuePairs<String, SQLValue> = ["slug": .string(slug), "day": .date(day)]
        if try await fixture.row(slug, day.description) == nil {
            var row = QuotaRow(id: "uuid-\(slug)-\(day)", slug: slug, date: day, at: Timestamp(startOf: day))
            row.take(Limits(daily: 6))
            try await fixture.add(rows: [row])
        }
        return try await fixture.warehouse.run(
            """
            UPDATE `organizations.org_usage_quotas` SET concurrent_pipelines_running = concurrent_pipelines_running + 1
            WHERE org_slug = @slug AND usage_date = @day AND current_daily_pipelines < daily_limit
              AND current_monthly_pipelines < IFNULL(monthly_limit, 1000)
              AND concurrent_pipelines_running < IFNULL(concurrent_limit, 1000)
            """, parameters
        ).affectedRows ?? 0 > 0
    }

    /// Ends a run in the log, as long as it is open there. `nil` for one that was refused before it reached the log.
    func end(_ id: String?, as status: String, _ slug: String, reserved day: CivilDate) async throws {
        if let id {
            try await fixture.run(
                """
                UPDATE `organizations.org_meta_pipeline_runs` SET status = @status
                WHERE pipeline_logging_id = @id AND status IN ('PENDING', 'RUNNING', 'CANCELLING')
                """, ["status": .string(status), "id": .string(id)])
        }
        try await count(status, slug, reserved: day)
    }

    /// The row's part of the end.
    func count(_ status: String, _ slug: String, reserved day: CivilDate) async throws {
        let succeeded = status == "COMPLETED" ? 1 : 0
        try await fixture.run(
            """
            UPDATE `organizations.org_usage_quotas`
            SET
              concurrent_pipelines_running = IF(concurrent_pipelines_running > 0, concurrent_pipelines_running - 1, 0),
              pipelines_succeeded_today = pipelines_succeeded_today + @succeeded,
              current_daily_pipelines = current_daily_pipelines + @succeeded,
              current_monthly_pipelines = current_monthly_pipelines + @succeeded,
              pipelines_failed_today = pipelines_failed_today + 1 - @succeeded
            WHERE org_slug = @slug AND usage_date = @day
            """,
            ["slug": .string(slug), "day": .date(day), "succeeded": .int64(Int64(succeeded))])
    }
}
