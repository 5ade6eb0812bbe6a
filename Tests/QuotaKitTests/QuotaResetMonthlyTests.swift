import JobRuntime
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@Suite struct QuotaResetMonthlyTests {
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
