import JobRuntime
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@Suite struct QuotaScaleTests {
    /// One request for each statement: take, read, seed and take the lease the first time; then the job; then the release.
    @Test func theNumberOfRequestsDoesNotDependOnTheNumberOfOrganizations() async throws {
        let few = try await requests(organizations: 10)
        let many = try await requests(organizations: 1000)

        #expect(few == many)
        #expect(few == [7, 4, 7, 6, 9, 4])
    }

    private func requests(organizations: Int) async throws -> [Int] {
        let bigQuery = try await EmulatedBigQuery(project: "quota-scale-\(organizations)")
        let fixture = try await QuotaFixture(bigQuery.warehouse)
        let slugs = (0..<organizations).map { "org_\($0)" }
        try await fixture.add(active: slugs)
        let now = instant("2026-02-01T00:05:00Z")
        try await fixture.add(
            runs: slugs.map { LoggedRun("run_\($0)", $0, "RUNNING", now.adding(.seconds(-7200))) })
        try await fixture.add(
            rows: slugs.map {
                var row = QuotaRow(id: $0, slug: $0, date: now.date.adding(days: -1), at: now)
                row.running = 1
                return row
            })
        let jobs: [QuotaFixture.Job] = [.daily, .daily, .monthly, .retention(days: 31), .stale, .stale]
        var counts: [Int] = []
        for job in jobs {
            let before = try await bigQuery.requests
            try await fixture.performLeased(job, at: now, holder: "one", clock: now)
            counts.append(try await bigQuery.requests - before)
        }
        #expect(try await fixture.rows().count == 2 * organizations)
        return counts
    }
}
