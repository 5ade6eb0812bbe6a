import Glibc
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

/// A run on a slow warehouse that stops half-way.
@Suite(.timeLimit(.minutes(30))) struct StopTests {
    private static let slugs = (1...20).map { "org_\($0)" }

    private func stage(_ catalog: CatalogCopy) async throws -> EmulatorStage {
        let stage = try await EmulatorStage.shared
        try await stage.prepare(Self.slugs, with: catalog.variables)
        try await stage.emulator.resetRequestCounts(project: stage.project)
        try await stage.delayRequests(milliseconds: 40)
        return stage
    }

    private func expectRest(of stopped: JobSummary, on stage: EmulatorStage, _ catalog: CatalogCopy) async throws {
        let created = stopped.counts["datasets_created"] ?? 0
        try await stage.delayRequests(milliseconds: 0)
        let summary = try await stage.run(.orgSyncAll, with: catalog.variables).succeeded()

        #expect(created < Self.slugs.count)
        // A request that was under way when the run stopped may have created more than the run knows of.
        #expect((summary.counts["datasets_created"] ?? 0) <= Self.slugs.count - created)
        #expect(summary.changes > 0)
        for slug in Self.slugs { #expect(try await stage.tables(in: "\(slug)_test")?.count == 2) }
    }

    @Test(arguments: [(SIGTERM, "SIGTERM"), (SIGINT, "SIGINT")])
    func aSignalEndsTheRunWithItsSummary(_ signal: Int32, _ name: String) async throws {
        let catalog = try CatalogCopy(organizationTables: 2)
        let stage = try await stage(catalog)

        let job = try stage.start(.orgSyncAll, with: catalog.variables)
        // The census, the comparison, one question about each dataset, and then some creations.
        while job.isRunning, try await stage.progress() < 26 { try await Task.sleep(for: .milliseconds(5)) }
        job.send(signal)
        let outcome = try await job.outcome()

        #expect(outcome.ending == .exited(75), "\(outcome.output) \(outcome.error)")
        let summary = try outcome.summary()
        #expect(summary.status == "stopped")
        #expect(summary.reason == "\(name) received")
        #expect(summary.counts["organizations"] == Self.slugs.count)
        #expect(outcome.error.contains("\(name) received: stopping at the next safe point"))
        try await expectRest(of: summary, on: stage, catalog)
    }

    @Test func theDeadlineEndsTheRunWithItsSummary() async throws {
        let catalog = try CatalogCopy(organizationTables: 2)
        let stage = try await stage(catalog)
        // This is too slow for the work to be over within a second, whatever else the machine does.
        try await stage.delayRequests(milliseconds: 400)

        let outcome = try await stage.run(
            .orgSyncAll, with: catalog.variables.merging(["DEADLINE_SECONDS": "1"]) { $1 })

        #expect(outcome.ending == .exited(75), "\(outcome.output) \(outcome.error)")
        let summary = try outcome.summary()
        #expect(summary.status == "stopped")
        #expect(summary.reason?.hasPrefix("deadline of 1") == true)
        try await expectRest(of: summary, on: stage, catalog)
    }

    /// Nothing can be written to the run history either, so that the run ends when its time of grace is over.
    @Test(arguments: [JobExecutable.bootstrap, .bootstrapSync, .orgSyncAll])
    func aSignalIsObeyedThoughTheServerIsSilent(_ executable: JobExecutable) async throws {
        let silent = try ScriptedServer { _ in .delayed(.seconds(600), .json("{}")) }

        // A job of another test may still send requests to a port that was its own before: only this job's count.
        let project = "silent-\(executable.product.lowercased())"
        let environment = ScriptedWarehouse.environment(silent).merging(["GCP_PROJECT_ID": project]) { $1 }

        let job = try executable.start(environment: environment)
        while job.isRunning, !silent.requests.contains(where: { $0.path.contains(project) }) {
            try await Task.sleep(for: .milliseconds(5))
        }
        job.send(SIGTERM)
        let outcome = try await job.outcome()

        #expect(outcome.ending == .exited(75), "\(outcome.output) \(outcome.error)")
        let summary = try outcome.summary()
        #expect(summary.status == "stopped")
        #expect(summary.changes == 0)
    }
}
