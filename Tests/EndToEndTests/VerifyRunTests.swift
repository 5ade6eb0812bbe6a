import Foundation
import JobRuntime
import TestSupport
import Testing
import Warehouse

/// verify as a process, on SQLite.
@Suite(.timeLimit(.minutes(30))) struct VerifyRunTests {
    private static let verify = JobExecutable(product: "VerifyJob", name: "verify")
    private static let chain = "scheduler_jobs.verifications"

    /// A warehouse in which bootstrap, org-sync-all and the daily reset have run for two organizations.
    private func stage() async throws -> SQLiteStage {
        let stage = try SQLiteStage()
        _ = try await stage.run(.bootstrap).succeeded()
        try await stage.add(["acme", "globex"])
        _ = try await stage.run(.orgSyncAll).succeeded()
        try await stage.warehouse().insert(
            into: "organizations.org_subscriptions",
            ["acme", "globex"].map {
                [
                    "subscription_id": .string("row_\($0)"), "org_slug": .string($0), "status": "ACTIVE",
                    "daily_limit": 6,
                ]
            })
        _ = try await stage.run(JobExecutable.named("quota-reset-daily")).succeeded()
        return stage
    }

    @Test func eachRunAppendsARowWithTheDigestOfTheRowBefore() async throws {
        let stage = try await stage()

        let first = try await stage.run(Self.verify)
        let second = try await stage.run(Self.verify)

        #expect(try first.succeeded().counts["invariants_held"] == 22)
        _ = try second.succeeded()
        let rows = try await stage.warehouse().rows(of: Self.chain, orderedBy: "number")
        #expect(try rows.map { try $0.string("verdict") } == ["holds", "holds"])
        #expect(try rows[1].optionalString("previous") == rows[0].string("digest"))
        // The last line has the digest, from which the page of list-jobs.sh takes it.
        let summary = try JSONDecoder().decode(JSONValue.self, from: Data(second.outputLines.last!.utf8))
        let shown = summary.object?["details"]?.object?["chain"]?.object
        #expect(try shown?["digest"]?.text == rows[1].string("digest"))
        #expect(try shown?["previous"]?.text == rows[0].string("digest"))
        #expect(shown?["verdict"]?.text == "holds")
    }

    @Test func aBrokenInvariantFailsTheRunAndIsInTheChain() async throws {
        let stage = try await stage()
        try await stage.warehouse().run(
            "UPDATE `organizations.org_usage_quotas` SET current_daily_pipelines = 4 WHERE org_slug = 'globex'")

        let summary = try await stage.run(Self.verify).failed()

        #expect(summary.failures.map(\.subject) == ["quota-counters"])
        #expect(summary.failures[0].reason.contains(" daily: is 4, and the run log has 0"))
        #expect(try await stage.warehouse().rows(of: Self.chain)[0].string("verdict") == "broken")
    }

    @Test func aDryRunWritesNothing() async throws {
        let stage = try await stage()

        let summary = try await stage.run(Self.verify, "--dry-run").succeeded()

        #expect(summary.dryRun)
        #expect(try await stage.warehouse().rows(of: Self.chain).isEmpty)
    }

    @Test func aTimeToComeIsRefused() async throws {
        let stage = try await stage()

        let outcome = try await stage.run(Self.verify, "--now", "2999-01-01T00:00:00Z")

        #expect(outcome.ending == .exited(78))
        #expect(outcome.error.contains("is to come"))
    }

    @Test func withoutBootstrapTheRunFailsAndNothingHolds() async throws {
        let stage = try SQLiteStage()

        let summary = try await stage.run(Self.verify).failed()

        #expect(summary.failures.map(\.subject) != [])
        #expect((summary.counts["invariants_held"] ?? 0) == 0)
    }
}
