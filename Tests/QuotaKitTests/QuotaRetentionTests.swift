import JobRuntime
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@Suite struct QuotaRetentionTests {
    @Test(arguments: Backend.allCases)
    func keepsTheBoundaryDay(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("retention-boundary"))
        let days = ["2025-11-01", "2025-11-02", "2025-11-03", "2026-01-31", "2026-02-01"]
        try await fixture.add(rows: days.flatMap { [row("acme", $0), row("globex", $0)] })

        let report = try await fixture.perform(.retention(days: 90), at: instant("2026-01-31T23:59:59Z"))

        // 2026-01-31 less 90 days is 2025-11-02.
        #expect(Set(try await fixture.rows().map(\.date.description)) == Set(days.dropFirst()))
        #expect(report["rows_deleted"] == 2)
    }

    @Test(arguments: [
        ("2028-03-01", 1, "2028-02-29"), ("2026-01-01", 1, "2025-12-31"), ("2028-12-31", 366, "2027-12-31"),
    ])
    func countsDaysOfTheCalendar(today: String, daysToKeep: Int, firstKept: String) async throws {
        let fixture = try await QuotaFixture(Backend.allCases[0].warehouse("retention-calendar"))
        let first = try #require(CivilDate(firstKept))
        try await fixture.add(rows: [row("acme", first.description), row("acme", first.adding(days: -1).description)])

        try await fixture.perform(
            .retention(days: daysToKeep), at: Timestamp(startOf: try #require(CivilDate(today))))

        #expect(try await fixture.rows().map(\.date) == [first])
    }

    @Test(arguments: Backend.allCases)
    func aDryRunCountsAndASecondRunFindsNothing(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("retention-dry"))
        try await fixture.add(rows: [row("acme", "2025-01-01"), row("acme", "2025-01-02"), row("acme", "2026-01-31")])
        let now = instant("2026-01-31T01:00:00Z")

        let dry = try await fixture.perform(.retention(days: 90), at: now, isDryRun: true)
        let unchanged = try await fixture.rows()
        let first = try await fixture.perform(.retention(days: 90), at: now)
        let second = try await fixture.perform(.retention(days: 90), at: now)

        #expect(dry["rows_deleted"] == 2)
        #expect(unchanged.count == 3)
        #expect(first["rows_deleted"] == 2)
        #expect(second["rows_deleted"] == 0)
        #expect(try await fixture.rows().map(\.date.description) == ["2026-01-31"])
    }

    private func row(_ slug: String, _ date: String) -> QuotaRow {
        QuotaRow(id: "\(slug)-\(date)", slug: slug, date: CivilDate(date)!, at: Timestamp(startOf: CivilDate(date)!))
    }
}
