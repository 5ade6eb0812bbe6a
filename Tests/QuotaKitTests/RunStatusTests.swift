import JobRuntime
import QuotaKit
import TestSupport
import Testing

@Suite struct RunStatusTests {
    /// The last two are unknown.
    private static let words = [
        "PENDING", "RUNNING", "CANCELLING", "COMPLETED", "SUCCEEDED", "SUCCESS", "FAILED", "ERROR", "TIMEOUT",
        "CANCELLED", "CANCELED", "running", "DONE",
    ]

    /// One run of each word, for an organization of that number.
    @Test(arguments: Backend.allCases)
    func everyWordCountsAsItShould(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("run-statuses"))
        let now = instant("2026-01-31T10:00:00Z")
        let slugs = Self.words.indices.map { "org_\($0 + 10)" }
        try await fixture.add(active: slugs)
        try await fixture.add(
            runs: zip(slugs, Self.words).map { LoggedRun("run_\($0)", $0, $1, instant("2026-01-31T09:30:00Z")) })

        let report = try await fixture.perform(.daily, at: now)

        let counted = try await fixture.rows().map { row in
            [row.daily, row.monthly, row.running, row.succeeded, row.failed, row.highest ?? -1]
        }
        #expect(counted == Self.words.map(Self.expected))
        #expect(
            report.warnings.map(\.reason) == [
                "2 have a status that this job does not know: \"DONE\" (1 run), \"running\" (1 run, in other capitals); "
                    + "they count as started and no more, and are never ended"
            ])
    }

    private static func expected(_ word: String) -> [Int64] {
        switch word {
        case "PENDING", "RUNNING", "CANCELLING": [0, 0, 1, 0, 0, 1]
        case "COMPLETED", "SUCCEEDED", "SUCCESS": [1, 1, 0, 1, 0, 0]
        case "FAILED", "ERROR", "TIMEOUT": [0, 0, 0, 0, 1, 0]
        default: [0, 0, 0, 0, 0, 0]
        }
    }

    @Test(arguments: Backend.allCases)
    func onlyOpenRunsAreMarkedAsStale(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("run-statuses-stale"))
        let now = instant("2026-01-31T10:00:00Z")
        let runs = Self.words.map { LoggedRun("run_\($0)", "acme", $0, instant("2026-01-31T07:00:00Z")) }
        try await fixture.add(runs: runs)

        let report = try await fixture.perform(.stale, at: now)

        let changed = try await fixture.runs().filter { $0.error != nil }.map(\.id)
        #expect(changed == ["run_CANCELLING", "run_PENDING", "run_RUNNING"])
        // In each pass, because such a run is never ended.
        let later = try await fixture.perform(.stale, at: now.adding(.seconds(900)))
        for report in [report, later] {
            #expect(report.warnings.map(\.subject) == ["runs of 2026-01-24 to 2026-01-31"])
            #expect(report["runs_with_unknown_status"] == 2)
        }
    }

    /// With QUOTA_COUNTS=started a run counts whatever became of it, also with an unknown status.
    @Test(arguments: Backend.allCases)
    func allStartedRunsCountWhereThatIsWanted(_ backend: Backend) async throws {
        let fixture = try await QuotaFixture(backend.warehouse("run-statuses-started"))
        let now = instant("2026-01-31T10:00:00Z")
        try await fixture.add(active: ["acme"])
        try await fixture.add(
            runs: Self.words.map { LoggedRun("run_\($0)", "acme", $0, instant("2026-01-31T09:30:00Z")) })

        try await fixture.perform(.daily, at: now, counts: .started)

        let row = try #require(try await fixture.row("acme"))
        #expect([row.daily, row.monthly, row.succeeded, row.failed, row.running] == [13, 13, 3, 3, 3])
    }
}
