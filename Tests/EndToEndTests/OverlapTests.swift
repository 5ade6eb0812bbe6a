import EmbeddedWarehouse
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

/// Two executions of a job at the same time: both succeed, and the state is that of one.
@Suite(.timeLimit(.minutes(30))) struct OverlapTests {
    private func overlap(_ stage: some Stage, _ job: JobExecutable, _ variables: [String: String]) async throws
        -> [JobSummary]
    {
        try await stage.delayRequests(milliseconds: 40)
        let jobs = try [stage.start(job, with: variables), stage.start(job, with: variables)]
        let summaries = [try await jobs[0].outcome().succeeded(), try await jobs[1].outcome().succeeded()]
        try await stage.delayRequests(milliseconds: 0)
        return summaries
    }

    private func organizationsOverlap(_ stage: some Stage, reference: some Stage) async throws {
        let (old, new) = (try CatalogCopy(organizationTables: 3), try CatalogCopy(organizationTables: 4))
        for table in try new.tables("organization").prefix(2) {
            try new.addColumn("more", to: "organization/\(table)")
        }
        for stage in [stage, reference] as [any Stage] {
            try await stage.prepare(["old_1", "old_2"], with: old.variables)
            _ = try await stage.run(.orgSyncAll, with: old.variables).succeeded()
            try await stage.add(["new_1", "new_2", "new_3"])
        }
        _ = try await reference.run(.orgSyncAll, with: new.variables).succeeded()

        let summaries = try await overlap(stage, .orgSyncAll, new.variables)
        let after = try await stage.run(.orgSyncAll, with: new.variables).succeeded()

        #expect(summaries.reduce(0) { $0 + ($1.counts["datasets_created"] ?? 0) } == 3)
        #expect(summaries.reduce(0) { $0 + ($1.counts["columns_added"] ?? 0) } == 4)
        #expect(after.counts["in_sync"] == 5)
        #expect(Set(try await stage.state()) == Set(try await reference.state()))
    }

    @Test(arguments: 1...3)
    func organizationsOnSQLite(_ round: Int) async throws {
        try await organizationsOverlap(try SQLiteStage(), reference: try SQLiteStage())
    }

    @Test(arguments: 1...2)
    func organizationsOnTheEmulator(_ round: Int) async throws {
        try await organizationsOverlap(try await EmulatorStage.shared, reference: try await EmulatorStage.shared)
    }

    @Test func bootstrapOnTheEmulator() async throws {
        let (stage, reference) = (try await EmulatorStage.shared, try await EmulatorStage.shared)
        _ = try await reference.run(.bootstrap).succeeded()

        let summaries = try await overlap(stage, .bootstrap, [:])

        #expect(summaries.reduce(0) { $0 + ($1.counts["datasets_created"] ?? 0) } == 2)
        #expect(summaries.reduce(0) { $0 + ($1.counts["tables_created"] ?? 0) } == 27)
        #expect(try await stage.state() == reference.state())
    }
}
