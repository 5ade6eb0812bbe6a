import EmbeddedWarehouse
import Glibc
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

/// `org-sync-all` is killed half-way again and again, and the next run repairs everything.
@Suite(.timeLimit(.minutes(30))) struct KillTests {
    /// Three organizations have tables of an older catalog, so that columns are missing; three have nothing yet.
    private struct Scene {
        var (old, new): (CatalogCopy, CatalogCopy)

        /// With few tables they are created one by one, with many by a script for each dataset.
        init(organizationTables: Int) throws {
            old = try CatalogCopy(organizationTables: organizationTables)
            new = try CatalogCopy(organizationTables: organizationTables)
            for table in try new.tables("organization").prefix(3) {
                try new.addColumn("first_more", to: "organization/\(table)")
                try new.addColumn("second_more", "INTEGER", mode: "REPEATED", to: "organization/\(table)")
            }
        }

        func prepare(_ stage: some Stage) async throws {
            try await stage.prepare(["old_1", "old_2", "old_3"], with: old.variables)
            _ = try await stage.run(.orgSyncAll, with: old.variables).succeeded()
            try await stage.add(["new_1", "new_2", "new_3"])
        }

        func killAndRepair(_ stage: some Stage, at progress: Int, after pause: Duration) async throws -> Bool {
            try await killAndRepair(stage, after: pause) { try await stage.progress() >= progress }
        }

        /// Starts the job, kills it some time after it reached a point, and runs it again.
        /// - Returns: Whether the kill left something to do.
        func killAndRepair(
            _ stage: some Stage, after pause: Duration, once isReached: () async throws -> Bool
        ) async throws -> Bool {
            try await stage.delayRequests(milliseconds: 40)
            let job = try stage.start(.orgSyncAll, with: new.variables)
            while job.isRunning, try await !isReached() { await Task.yield() }
            try await Task.sleep(for: pause)
            job.send(SIGKILL)
            let wasKilled = try await job.outcome().ending == .killed(SIGKILL)
            try await stage.delayRequests(milliseconds: 0)
            let repair = try await stage.run(.orgSyncAll, with: new.variables).succeeded()
            return wasKilled && repair.changes > 0
        }
    }

    @Test(arguments: [(4, UInt64(1)), (19, UInt64(2))])
    func onSQLiteTheNextRunEndsInTheStateOfOneCleanRun(_ tables: Int, _ seed: UInt64) async throws {
        let scene = try Scene(organizationTables: tables)
        let base = try SQLiteStage()
        try await scene.prepare(base)
        let clean = try SQLiteStage(copyOf: base)
        let begin = try await clean.progress()
        _ = try await clean.run(.orgSyncAll, with: scene.new.variables).succeeded()
        let end = try await clean.progress()
        let expected = try await clean.state()
        var random = SplitMix64(seed: seed)

        var halfDone = 0
        for _ in 1...100 where halfDone < 12 {
            let stage = try SQLiteStage(copyOf: base)
            let point = Int.random(in: begin..<end, using: &random)
            let pause = Duration.microseconds(Int.random(in: 0...2_000, using: &random))
            if try await scene.killAndRepair(stage, at: point, after: pause) { halfDone += 1 }
            #expect(try await stage.state() == expected)
        }

        #expect(end > begin)
        #expect(halfDone == 12)
    }

    @Test(arguments: [(4, UInt64(3)), (6, UInt64(4))])
    func onTheEmulatorTheNextRunEndsInTheStateOfOneCleanRun(_ tables: Int, _ seed: UInt64) async throws {
        let scene = try Scene(organizationTables: tables)
        let clean = try await EmulatorStage.shared
        try await scene.prepare(clean)
        try await clean.emulator.resetRequestCounts(project: clean.project)
        _ = try await clean.run(.orgSyncAll, with: scene.new.variables).succeeded()
        let end = try await clean.progress()
        let expected = try await clean.state()
        var random = SplitMix64(seed: seed)

        var halfDone = 0
        for _ in 1...20 where halfDone < 3 {
            let stage = try await EmulatorStage.shared
            try await scene.prepare(stage)
            try await stage.emulator.resetRequestCounts(project: stage.project)
            let point = Int.random(in: 3..<end, using: &random)
            let pause = Duration.milliseconds(Int.random(in: 0...40, using: &random))
            if try await scene.killAndRepair(stage, at: point, after: pause) { halfDone += 1 }
            #expect(try await stage.state() == expected)
        }

        #expect(expected.count == 2 + 2 + 6 * (tables + 1))
        #expect(halfDone == 3)
    }

    /// More than thirty creations: a script for each of the three new datasets, and the client dies while they run.
    @Test func killedWhileScriptsCreateTablesItIsCompletedByTheNextRun() async throws {
        let tables = 11
        let scene = try Scene(organizationTables: tables)
        let clean = try await EmulatorStage.shared
        try await scene.prepare(clean)
        let (outcome, requests) = try await clean.counting(.orgSyncAll, with: scene.new.variables)
        _ = try outcome.succeeded()
        let expected = try await clean.state()
        var random = SplitMix64(seed: 5)

        var halfDone = 0
        for _ in 1...20 where halfDone < 3 {
            let stage = try await EmulatorStage.shared
            try await scene.prepare(stage)
            try await stage.emulator.resetRequestCounts(project: stage.project)
            let scripts = Int.random(in: 1...3, using: &random)
            let pause = Duration.milliseconds(Int.random(in: 0...150, using: &random))
            // Before the scripts are the list of organizations, the comparison, the rollouts and the history of changes.
            let isHalfDone = try await scene.killAndRepair(stage, after: pause) {
                try await stage.queries() >= 4 + scripts
            }
            if isHalfDone { halfDone += 1 }
            #expect(try await stage.state() == expected)
        }

        // These four, the scripts, the history of changes again, because this catalog does not have its table, and the row of
        // the run history; no table alone.
        #expect(requests.routes[EmulatorStage.queriesRoute] == 4 + 3 + 1 + 1)
        #expect(requests.routes["POST /projects/*/datasets/*/tables"] == nil)
        #expect(expected.count == 2 + 2 + 6 * (tables + 1))
        #expect(halfDone == 3)
    }
}
