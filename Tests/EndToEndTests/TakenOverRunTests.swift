import Foundation
import TestSupport
import Testing
import Warehouse

/// A warehouse whose tables another service made without partitioning and clustering.
@Suite(.timeLimit(.minutes(30))) struct TakenOverRunTests {
    private func stage() async throws -> SQLiteStage {
        let stage = try SQLiteStage()
        let catalog = try CatalogCopy()
        for table in try catalog.tables("organization") {
            let file = "organization/\(table).json"
            let path = "\(catalog.path)/\(file)"
            let text = try Data(contentsOf: URL(filePath: path))
            var object = try #require(try JSONSerialization.jsonObject(with: text) as? [String: Any])
            for member in ["timePartitioning", "clustering", "requirePartitionFilter"] { object[member] = nil }
            try catalog.write(String(decoding: JSONSerialization.data(withJSONObject: object), as: UTF8.self), to: file)
        }
        try await stage.prepare(["acme", "globex", "initech"])
        _ = try await stage.run(.orgSyncAll, with: catalog.variables).succeeded()
        return stage
    }

    @Test func isRedUntilTheLayoutIsTolerated() async throws {
        let stage = try await stage()

        let strict = try await stage.run(.orgSyncAll).failed()
        let tolerant = try await stage.run(.orgSyncAll, with: ["TOLERATED_DIFFERENCES": "layout"]).succeeded()

        #expect(strict.failures.count == 35)
        #expect(strict.counts["conflicts"] == 105)
        #expect(tolerant.counts["in_sync"] == 3)
        #expect(tolerant.counts["tolerated"] == 105)
        #expect(tolerant.warnings.isEmpty)
    }

    @Test func anExplanationAndADryRunWriteNothing() async throws {
        let stage = try await stage()
        let state = try await stage.state()

        let explained = try await stage.run(.orgSyncAll, "--explain", "--org", "acme")
        let dry = try await stage.run(.orgSyncAll, "--apply", "clustering", "--dry-run")

        #expect((explained.output + explained.error).contains("clustering: The table is not clustered"))
        #expect(dry.ending == .exited(1))
        #expect(try await stage.state() == state)
    }

    @Test func clusteringIsAppliedOnce() async throws {
        let stage = try await stage()
        let tolerated = ["TOLERATED_DIFFERENCES": "partitioning"]

        let first = try await stage.run(.orgSyncAll, "--apply", "clustering", with: tolerated).succeeded()
        let state = try await stage.state()
        let second = try await stage.run(.orgSyncAll, "--apply", "clustering", with: tolerated).succeeded()

        #expect(first.counts["clusterings_updated"] == 57)
        #expect(second.changes == 0)
        #expect(second.counts["in_sync"] == 3)
        #expect(try await stage.state() == state)
    }

    @Test func aWrongWordIsAWrongConfiguration() async throws {
        let stage = try SQLiteStage()

        let outcome = try await stage.run(.bootstrap, with: ["TOLERATED_DIFFERENCES": "layot"])

        #expect(outcome.ending == .exited(78))
        #expect(outcome.error.contains("did you mean layout?"))
    }
}
