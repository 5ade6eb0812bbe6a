import JobRuntime
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

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
        #expect(row.daily == 3)
        #expect(row.succeeded == 1)
        #expect(row.failed == 1)
        let eveIsOfTheMonth = date.day > 1
        let nextIsOfTheMonth = date.adding(days: 1).day > 1
        #expect(row.monthly == 3 + (eveIsOfTheMonth ? 1 : 0) + (nextIsOfTheMonth ? 1 : 0))
    }

    @Test(arguments: Backend.allCases)
    func countsRunsInProgressUpToTheStaleThreshold(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("reset-stale"))
        try await fixture.add(active: ["acme"])
        // Half past midnight on the first: what began before 23:30 of the last month is stale.
        let now = instant("2026-03-01T00:30:00Z")
        try await fixture.add(runs: [
            LoggedRun("fresh", "acme", "RUNNING", instant("2026-02-28T23:30:00Z")),
            LoggedRun("stale", "acme", "RUNNING", instant("2026-02-28T23:29:59.999999Z")),
            LoggedRun("queued", "acme", "PENDING", instant("2026-03-01T00:29:00Z")),
            LoggedRun("ended", "acme", "COMPLETED", instant("2026-03-01T00:10:00Z")),
        ])

        try await fixture.perform(.daily, at: now)

        let row = try #require(try await fixture.row("acme"))
        #expect(row.running == 2)
        #expect(row.highest == 2)
        #expect(row.daily == 2)
        #expect(row.monthly == 2)
    }

    /// `--date` for a day gone by, and for today while the day is on: what runs is what runs now, and stamps are of now.
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
        #expect(rows.map(\.daily) == [2, 2])
        #expect(rows.map(\.running) == [0, 2])
        #expect(rows.map(\.highest) == [0, 2])
        #expect(rows.map(\.created) == [clock, clock])
        #expect(rows.map(\.lastUpdated) == [clock, clock])
    }

    private let lastMoment = Duration.seconds(86_400) - .microseconds(1)
}
