import JobRuntime
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@Suite struct QuotaResetTests {
    @Test(arguments: Backend.allCases)
    func opensTheDayOfActiveOrganizationsWithALiveSubscription(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("reset-opens"))
        try await fixture.add(profiles: [
            ("acme", "ACTIVE"), ("trial", "ACTIVE"), ("gone", "DELETED"), ("unpaid", "ACTIVE"), ("free", "ACTIVE"),
        ])
        try await fixture.add(subscriptions: [
            subscription("acme", limit: 6), subscription("trial", "TRIAL", limit: 7), subscription("gone", limit: 8),
            subscription("unpaid", "SUSPENDED", limit: 9), subscription("nobody", limit: 10),
        ])
        let midnight = instant("2026-01-31T00:00:00Z")

        let report = try await fixture.perform(.daily, at: midnight)

        var acme = QuotaRow(id: "acme_20260131", slug: "acme", date: midnight.date, at: midnight)
        acme.take(Limits(daily: 6))
        acme.highest = 0
        var trial = QuotaRow(id: "trial_20260131", slug: "trial", date: midnight.date, at: midnight)
        trial.take(Limits(daily: 7))
        trial.highest = 0
        #expect(try await fixture.rows() == [acme, trial])
        #expect(report["organizations_reset"] == 2)
        #expect(report["rows_created"] == 2)
        #expect(report["rows_changed"] == 0)
    }

    @Test(arguments: Backend.allCases)
    func bringsARowOfAnotherServiceToTheSameValues(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("reset-foreign"))
        try await fixture.add(active: ["acme"])
        let date = try #require(CivilDate("2026-01-31"))
        var foreign = QuotaRow(
            id: "0b5c2f4e-uuid", slug: "acme", date: date, at: instant("2026-01-31T00:00:00.5Z"))
        foreign.daily = 40
        foreign.running = 3
        foreign.highest = 5
        try await fixture.add(rows: [foreign])
        try await fixture.add(runs: [LoggedRun("one", "acme", "COMPLETED", instant("2026-01-31T04:00:00Z"))])
        let now = instant("2026-01-31T05:00:00Z")

        let report = try await fixture.perform(.daily, at: now)

        var expected = foreign
        expected.daily = 1
        expected.succeeded = 1
        expected.monthly = 1
        expected.running = 0
        expected.take(Limits(daily: 6))
        expected.lastUpdated = now
        expected.updated = now
        #expect(try await fixture.rows() == [expected])
        #expect(report["rows_created"] == 0)
        #expect(report["rows_changed"] == 1)
    }

    @Test(arguments: Backend.allCases)
    func aSecondRunWritesNothing(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("reset-again"))
        try await fixture.add(active: ["acme", "globex"])
        try await fixture.add(runs: [LoggedRun("one", "acme", "COMPLETED", instant("2026-01-31T00:00:01Z"))])
        try await fixture.perform(.daily, at: instant("2026-01-31T00:00:05Z"))
        let rows = try await fixture.rows()

        let report = try await fixture.perform(.daily, at: instant("2026-01-31T00:10:00Z"))

        #expect(try await fixture.rows() == rows)
        #expect(report["organizations_reset"] == 2)
        #expect(report["rows_created"] + report["rows_changed"] == 0)
    }

    @Test(arguments: Backend.allCases)
    func executionsAtOnceLeaveOneRowForEachOrganization(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("reset-at-once"))
        try await fixture.add(active: ["acme", "globex", "initech"])
        let now = instant("2026-02-01T00:05:00Z")

        let worked = try await withThrowingTaskGroup(of: Bool.self) { group in
            for index in 0..<6 {
                let job: QuotaFixture.Job = index % 2 == 0 ? .daily : .monthly
                group.addTask { try await fixture.performLeased(job, at: now, holder: "\(index)", clock: now) }
            }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }

        #expect(worked >= 1)
        #expect(try await fixture.rows().map(\.slug) == ["acme", "globex", "initech"])
    }

    @Test(arguments: Backend.allCases)
    func theNewestSubscriptionCountsAndTheDuplicateIsReported(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("reset-duplicates"))
        try await fixture.add(profiles: [("acme", "ACTIVE"), ("globex", "ACTIVE")])
        try await fixture.add(subscriptions: [
            subscription("acme", limit: 6), subscription("acme", "TRIAL", limit: 25, created: "2026-01-10T00:00:00Z"),
            // Of two that are as new, the one with the greater subscription_id: sub_acme_25, not sub_acme_24.
            subscription("acme", limit: 24, created: "2026-01-10T00:00:00Z"),
            subscription("acme", "CANCELLED", limit: 100, created: "2026-01-20T00:00:00Z"),
            subscription("globex", limit: 6),
        ])
        let now = instant("2026-01-31T00:00:00Z")
        var twin = QuotaRow(id: "a", slug: "globex", date: now.date, at: now)
        let first = twin
        twin.id = "b"
        twin.daily = 9
        try await fixture.add(rows: [first, twin])

        let report = try await fixture.perform(.daily, at: now)

        #expect(try await fixture.row("acme")?.dailyLimit == 25)
        let twins = try await fixture.rows().filter { $0.slug == "globex" }
        #expect(twins.map(\.daily) == [0, 0])
        #expect(twins.map(\.dailyLimit) == [6, 6])
        #expect(report.warnings.map(\.subject) == ["\"acme\"", "\"globex\""])
        #expect(
            report.warnings.map(\.reason) == [
                "has 3 live subscriptions; the newest gave the limits",
                "has 2 rows for 2026-01-31; all get the same values",
            ])
        #expect(report["organizations_reset"] == 2)
    }

    @Test(arguments: Backend.allCases)
    func aDryRunSaysWhatItWouldDoAndWritesNothing(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("reset-dry"))
        try await fixture.add(active: ["acme", "globex", "initech"])
        let now = instant("2026-01-31T00:00:00Z")
        try await fixture.add(rows: [QuotaRow(id: "acme_20260131", slug: "acme", date: now.date, at: now)])
        let rows = try await fixture.rows()

        let report = try await fixture.perform(.daily, at: now, isDryRun: true)

        #expect(report["rows_created"] == 2)
        #expect(report["rows_changed"] == 1)
        #expect(report.output == "2026-01-31: would create 2 rows, would change 1\n")
        #expect(try await fixture.rows() == rows)
        let done = try await fixture.perform(.daily, at: now)
        #expect(done["rows_created"] == 2)
        #expect(done["rows_changed"] == 1)
        #expect(done.output == "2026-01-31: 2 rows created, 1 changed\n")
    }

    @Test(arguments: Backend.allCases)
    func withoutTablesItSaysToRunBootstrap(_ backend: Backend) async throws {
        let warehouse = try await backend.warehouse("reset-nothing")
        let fixture = ReportFixture()

        let error = await #expect(throws: WarehouseError.self) {
            try await QuotaReset(warehouse: warehouse, report: fixture.report).openDay(
                at: instant("2026-01-31T00:00:00Z"))
        }

        #expect(error?.code == .notFound)
        #expect(error?.description.contains("run bootstrap first") == true)
    }

    @Test func withoutOrganizationsItSucceeds() async throws {
        let fixture = try await QuotaFixture(Backend.allCases[0].warehouse("reset-empty"))

        let report = try await fixture.perform(.daily, at: instant("2026-01-31T00:00:00Z"))

        #expect(try await fixture.rows().isEmpty)
        #expect(report["organizations_reset"] == 0)
        #expect(report.failures.isEmpty)
    }

    private func subscription(
        _ slug: String, _ status: String = "ACTIVE", limit: Int64, created: String = "2023-05-01T10:00:00Z"
    ) -> Subscription {
        Subscription(
            id: "sub_\(slug)_\(limit)", slug: slug, status: status, limits: Limits(daily: limit),
            created: instant(created))
    }
}

/// Which runs a reset counts, on both sides of every bound, and what it says of the time.
@Suite struct QuotaResetTimeTests {
    @Test(arguments: [
        // An ordinary midnight, month ends of 31 and 30 days, leap day, its eve in a common year, year end.
        ("2026-01-15", "2026-01-01"), ("2026-02-01", "2026-02-01"), ("2026-05-01", "2026-05-01"),
        ("2028-02-29", "2028-02-01"), ("2028-03-01", "2028-03-01"), ("2026-03-01", "2026-03-01"),
        ("2026-01-01", "2026-01-01"), ("2026-12-31", "2026-12-01"),
    ])
    func countsRunsOnBothSidesOfMidnight(day: String, month: String) async throws {
        let fixture = try await QuotaFixture(Backend.allCases[0].warehouse("reset-midnight"))
        try await fixture.add(active: ["acme"])
        let date = try #require(CivilDate(day))
        let start = Timestamp(startOf: date)
        let monthStart = Timestamp(startOf: try #require(CivilDate(month)))
        let nextMonth = Timestamp(startOf: date.firstOfMonth.adding(days: 31).firstOfMonth)
        try await fixture.add(runs: [
            LoggedRun("first", "acme", "COMPLETED", start),
            LoggedRun("last", "acme", "FAILED", start.adding(lastMoment)),
            LoggedRun("cancelled", "acme", "CANCELLED", start.adding(.seconds(5))),
            LoggedRun("eve", "acme", "COMPLETED", start.adding(.microseconds(-1))),
            LoggedRun("next", "acme", "COMPLETED", start.adding(.seconds(86_400))),
            LoggedRun("month_before", "acme", "COMPLETED", monthStart.adding(.microseconds(-1))),
            LoggedRun("month_after", "acme", "COMPLETED", nextMonth),
        ])

        try await fixture.perform(.daily, at: start.adding(lastMoment))

        let row = try #require(try await fixture.row("acme"))
        #expect(row.date == date)
        #expect(row.daily == 1)
        #expect(row.succeeded == 1)
        #expect(row.failed == 1)
        let eveIsOfTheMonth = date.day > 1
        #expect(row.monthly == 1 + (eveIsOfTheMonth ? 1 : 0))
    }

    @Test(arguments: Backend.allCases)
    func countsRunsInProgressUpToTheStaleThreshold(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("reset-stale"))
        try await fixture.add(active: ["acme"])
        // Half past midnight on the first: runs that began before 23:30 of the last month are stale, and those that began
        // after it count in the row of their own day.
        let now = instant("2026-03-01T00:30:00Z")
        try await fixture.add(runs: [
            LoggedRun("fresh", "acme", "RUNNING", instant("2026-02-28T23:30:00Z")),
            LoggedRun("stale", "acme", "RUNNING", instant("2026-02-28T23:29:59.999999Z")),
            LoggedRun("queued", "acme", "PENDING", instant("2026-03-01T00:29:00Z")),
            LoggedRun("ended", "acme", "COMPLETED", instant("2026-03-01T00:10:00Z")),
        ])

        try await fixture.perform(.daily, at: now)

        let row = try #require(try await fixture.row("acme"))
        #expect(row.running == 1)
        #expect(row.highest == 1)
        #expect(row.daily == 1)
        #expect(row.monthly == 1)
        try await fixture.perform(.daily, at: instant("2026-02-28T00:00:00Z"), clock: now)
        #expect(try await fixture.row("acme", "2026-02-28")?.running == 1)
    }

    /// `--date` for a day gone by, and for today while the day is on: runs are open as of now, and stamps are of now.
    @Test(arguments: Backend.allCases)
    func anotherDayIsRecountedAsOfNow(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("reset-late"))
        try await fixture.add(active: ["acme"])
        let clock = instant("2026-02-01T00:20:00Z")
        try await fixture.add(runs: [
            LoggedRun("done", "acme", "COMPLETED", instant("2026-01-31T05:00:00Z")),
            LoggedRun("late", "acme", "RUNNING", instant("2026-01-31T23:50:00Z")),
            LoggedRun("now", "acme", "RUNNING", instant("2026-02-01T00:10:00Z")),
            LoggedRun("announced", "acme", "PENDING", instant("2026-02-01T00:30:00Z")),
        ])

        try await fixture.perform(.daily, at: instant("2026-01-31T00:00:00Z"), clock: clock)
        try await fixture.perform(.daily, at: instant("2026-02-01T00:00:00Z"), clock: clock)

        let rows = try await fixture.rows()
        #expect(rows.map(\.daily) == [1, 0])
        #expect(rows.map(\.running) == [1, 2])
        #expect(rows.map(\.highest) == [1, 2])
        #expect(rows.map(\.created) == [clock, clock])
        #expect(rows.map(\.lastUpdated) == [clock, clock])
    }

    private let lastMoment = Duration.seconds(86_400) - .microseconds(1)
}

@Suite struct QuotaResetMonthlyTests {
    @Test func aDryRunOfTheMonthSaysWhatItWouldDo() async throws {
        let fixture = try await QuotaFixture(Backend.embedded.warehouse("reset-monthly-dry"))
        try await fixture.add(active: ["acme"])

        let report = try await fixture.perform(.monthly, at: instant("2026-02-01T00:05:00Z"), isDryRun: true)

        #expect(report.output == "2026-02-01: would create 1 row, would change 0\n")
        #expect(try await fixture.rows().isEmpty)
    }

    @Test(arguments: Backend.allCases)
    func theMonthlyResetTouchesTheMonthlyCounterOnly(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("reset-monthly"))
        try await fixture.add(active: ["acme", "globex"])
        let date = try #require(CivilDate("2026-02-01"))
        var row = QuotaRow(id: "acme_20260201", slug: "acme", date: date, at: instant("2026-02-01T00:00:00Z"))
        row.daily = 7
        row.monthly = 200
        try await fixture.add(rows: [row])
        try await fixture.add(runs: [
            LoggedRun("january", "acme", "COMPLETED", instant("2026-01-31T23:59:59.999999Z")),
            LoggedRun("february", "acme", "COMPLETED", instant("2026-02-01T00:00:00Z")),
        ])
        let now = instant("2026-02-01T00:05:00Z")

        let report = try await fixture.perform(.monthly, at: now)

        var expected = row
        expected.monthly = 1
        expected.lastUpdated = now
        expected.updated = now
        #expect(try await fixture.row("acme") == expected)
        #expect(try await fixture.row("globex")?.dailyLimit == 6)
        #expect(report["rows_created"] == 1)
        #expect(report["rows_changed"] == 1)
    }
}
