import TestSupport
import Testing

@testable import JobRuntime
@testable import QuotaCleanupJob
@testable import QuotaKit
@testable import QuotaResetDailyJob
@testable import SchemaKit
@testable import StaleCleanupJob
@testable import Warehouse
@testable import WarehouseKit

@Suite struct QuotaSettingsTests {
    @Test(arguments: ["0", "-1", "ninety", "1.5", "90 ", "36501", "٩٠"])
    func daysToKeepAreAWholeNumberFromOne(_ value: String) {
        var reader = reader(["DAYS_TO_KEEP": value])
        _ = QuotaCleanupJob.Settings(reading: &reader)

        #expect(reader.problems.count == 1)
        #expect(reader.problems.first?.hasPrefix("DAYS_TO_KEEP is ") == true)
    }

    @Test(arguments: [(nil, 90), ("1", 1), ("31", 31), ("120", 120)])
    func daysToKeepAreRead(_ value: String?, days: Int) {
        var reader = reader(["DAYS_TO_KEEP": value ?? ""])
        let settings = QuotaCleanupJob.Settings(reading: &reader)

        #expect(settings.daysToKeep.days == days)
        #expect(reader.problems.isEmpty)
    }

    @Test(arguments: [(nil, 400), ("1", 1), ("36500", 36_500)])
    func daysOfTheRunHistoryAreRead(_ value: String?, days: Int) {
        var reader = reader(["HISTORY_DAYS_TO_KEEP": value ?? ""])
        let settings = QuotaCleanupJob.Settings(reading: &reader)

        #expect(settings.historyDaysToKeep == days)
        #expect(reader.problems.isEmpty)
    }

    /// However few days are kept, the counters are right after the next reset. Only a day to come would delete rows that are
    /// not old enough.
    @Test(arguments: [
        (1, "2026-01-31", false), (30, "2026-01-31", false), (90, "2026-01-31", false), (31, "2026-02-01", true),
        (90, "2026-02-01", true), (30, "2020-01-01", false),
    ])
    func deletingForADayToComeNeedsForce(daysToKeep: Int, day: String, isRefused: Bool) throws {
        var reader = reader(["DAYS_TO_KEEP": "\(daysToKeep)"])
        let settings = QuotaCleanupJob.Settings(reading: &reader)
        let date = try #require(CivilDate(day))

        let objection = settings.daysToKeep.objection(
            at: Timestamp(startOf: date), wallClock: instant("2026-01-31T23:59:59Z"))

        #expect((objection != nil) == isRefused, "\(objection ?? "")")
    }

    @Test(arguments: [
        "a b", "1st", "x`; DROP TABLE t", "current-daily", "", "org_slug", "USAGE_DATE", "concurrent_pipelines_running",
        "current_monthly_pipelines", String(repeating: "x", count: 301), "zähler",
    ])
    func aCounterIsAColumnOfItsOwn(_ name: String) {
        var reader = reader(["QUOTA_DAILY_COLUMN": name])
        let settings = QuotaResetDailyJob.Settings(reading: &reader)

        #expect(reader.problems.count == (name.isEmpty ? 0 : 1))
        if name.isEmpty { #expect(settings.columns == .standard) }
    }

    @Test func countersMayHaveOtherNames() {
        var reader = reader(["QUOTA_DAILY_COLUMN": "runs_today", "QUOTA_MONTHLY_COLUMN": "runs_this_month"])
        let settings = QuotaResetDailyJob.Settings(reading: &reader)

        #expect(reader.problems.isEmpty)
        #expect(settings.columns.daily == "runs_today")
        #expect(settings.columns.monthly == "runs_this_month")
    }

    @Test func aLookbackShorterThanTheThresholdIsRefused() {
        var short = reader(["STALE_AFTER_MINUTES": "1441", "STALE_LOOKBACK_DAYS": "1"])
        _ = StaleCleanupJob.Settings(reading: &short)
        var enough = reader(["STALE_AFTER_MINUTES": "1440", "STALE_LOOKBACK_DAYS": "1"])
        let settings = StaleCleanupJob.Settings(reading: &enough)

        #expect(short.problems.count == 1)
        #expect(enough.problems.isEmpty)
        #expect(settings.staleAfter.duration == .seconds(86_400))
    }

    @Test func everyProblemIsNamedAtOnce() {
        var reader = reader([
            "STALE_AFTER_MINUTES": "soon", "STALE_LOOKBACK_DAYS": "0", "LEASE_SECONDS": "forever", "WAREHOUSE_URL": "",
        ])
        _ = RuntimeSettings(reading: &reader, isExclusive: StaleCleanupJob.isExclusive)
        _ = StaleCleanupJob.Settings(reading: &reader)

        #expect(reader.problems.count == 4)
    }

    private func reader(_ variables: [String: String]) -> EnvironmentReader {
        EnvironmentReader(["WAREHOUSE_URL": "bigquery://cloudact-testing-1"].merging(variables) { $1 })
    }
}
