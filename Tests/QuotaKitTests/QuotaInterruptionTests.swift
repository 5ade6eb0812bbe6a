import EmbeddedWarehouse
import JobRuntime
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

/// A job that dies between any two of its statements, or in the middle of one, and is run again.
@Suite struct QuotaInterruptionTests {
    private static let now = instant("2026-02-01T00:05:00Z")
    private static let jobs: [QuotaFixture.Job] = [.daily, .monthly, .stale, .retention(days: 31)]

    private static let initialRows: [QuotaRow] = {
        var wrong = QuotaRow(id: "wrong", slug: "acme", date: now.date, at: instant("2026-02-01T00:00:00Z"))
        wrong.running = 5
        wrong.monthly = 77
        var old = QuotaRow(id: "old", slug: "globex", date: CivilDate("2025-12-31")!, at: QuotaFixture.longAgo)
        old.daily = 3
        return [wrong, old]
    }()

    @Test(
        arguments: jobs,
        (0..<9).flatMap { [FaultyWarehouse.Fault.killedBefore($0), .killedDuring($0), .replyLost($0)] })
    func oneCleanRunFollowsOnTheEmbeddedWarehouse(
        _ job: QuotaFixture.Job, _ fault: FaultyWarehouse.Fault
    ) async throws {
        try await expectTheSameState(job, fault, Backend.embedded, "")
    }

    @Test(arguments: jobs.indices, [FaultyWarehouse.Fault.killedBefore(5), .killedDuring(5), .replyLost(4)])
    func oneCleanRunFollowsOnTheEmulator(_ job: Int, _ fault: FaultyWarehouse.Fault) async throws {
        let project = "quota-stop-\(job)-\(String(describing: fault).prefix(8).lowercased().filter(\.isLetter))"
        try await expectTheSameState(Self.jobs[job], fault, .emulator, project)
    }

    private func expectTheSameState(
        _ job: QuotaFixture.Job, _ fault: FaultyWarehouse.Fault, _ backend: Backend, _ project: String
    ) async throws {
        let interrupted = try await prepared(backend, "\(project)-a")
        let clean = try await prepared(backend, "\(project)-b")

        _ = try? await interrupted.performLeased(
            job, at: Self.now, on: FaultyWarehouse(interrupted.warehouse, fault), holder: "one", clock: Self.now)
        // The next execution comes when the lease of the dead one is over.
        let later = Self.now.adding(.seconds(3600))
        let isDone = try await interrupted.performLeased(job, at: Self.now, holder: "two", clock: later)
        try await clean.performLeased(job, at: Self.now, holder: "one", clock: Self.now)

        #expect(isDone)
        #expect(try await interrupted.rows() == clean.rows())
        #expect(try await interrupted.runs() == clean.runs())
        #expect(try await clean.rows() != Self.initialRows)
    }

    private func prepared(_ backend: Backend, _ project: String) async throws -> QuotaFixture {
        let fixture = try await QuotaFixture(backend.warehouse(project))
        try await fixture.add(active: ["acme", "globex", "initech"])
        try await fixture.add(runs: [
            LoggedRun("crashed", "acme", "RUNNING", instant("2026-01-31T21:00:00Z")),
            LoggedRun("fresh", "acme", "RUNNING", instant("2026-02-01T00:01:00Z")),
            LoggedRun("failed", "globex", "FAILED", instant("2026-02-01T00:02:00Z")),
        ])
        try await fixture.add(rows: Self.initialRows)
        return fixture
    }
}
