import Foundation
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

/// The requests of a run with a hundred organizations. The tests share them, because creating them is slow.
@Suite(.serialized, .timeLimit(.minutes(30))) struct RequestBudgetTests {
    private static let filling = Task {
        let stage = try await EmulatorStage.shared
        _ = try await stage.run(.bootstrap).succeeded()
        _ = try await stage.run(.demoData, "--organizations", "100").succeeded()
        let (outcome, requests) = try await stage.counting(.orgSyncAll)
        return (stage: stage, outcome: outcome, requests: requests)
    }

    @Test func newOrganizationsTakeTwoRequestsEach() async throws {
        let (_, outcome, requests) = try await Self.filling.value

        let summary = try outcome.succeeded()
        #expect(summary.counts["datasets_created"] == 100)
        #expect(summary.counts["tables_created"] == 1900)
        #expect(requests.total <= 210)
    }

    @Test func aRunWithNothingToDoTakesThreeRequestsHoweverManyOrganizationsThereAre() async throws {
        let stage = try await Self.filling.value.stage

        let (outcome, requests) = try await stage.counting(.orgSyncAll)

        let summary = try outcome.succeeded()
        #expect(summary.counts["in_sync"] == 100)
        #expect(summary.changes == 0)
        // The list of organizations, the comparison and the row of the run history.
        #expect(requests.routes == [EmulatorStage.queriesRoute: 3])
    }

    @Test func aMissingColumnTakesAtMostThreeRequestsForEachDataset() async throws {
        let stage = try await Self.filling.value.stage
        let catalog = try CatalogCopy()
        try catalog.addColumn("extra_notes", to: "organization/subscription_plans")

        let (outcome, requests) = try await stage.counting(.orgSyncAll, with: catalog.variables)
        let (again, quiet) = try await stage.counting(.orgSyncAll, with: catalog.variables)

        let summary = try outcome.succeeded()
        #expect(summary.counts["columns_added"] == 100)
        #expect(summary.counts["tables_updated"] == 100)
        #expect(requests.total <= 300)
        #expect(requests.routes["PATCH /projects/*/datasets/*/tables/*"] == 100)
        #expect(try again.succeeded().counts["in_sync"] == 100)
        #expect(quiet.total == 3)
        for dataset in ["demo_10001_test", "demo_10100_test"] {
            #expect(try await stage.table(dataset, "subscription_plans")?.schema.fields.last?.name == "extra_notes")
        }
    }

    /// The budgets of jobs.yaml. ``SentRequestsTests`` holds all nine jobs to theirs, with subscriptions and a Stripe, which the
    /// resets and the billing jobs need.
    @Test(arguments: ["bootstrap", "bootstrap-sync", "org-sync-all", "stale-cleanup", "quota-cleanup"])
    func aRunStaysWithinTheBudgetOfItsJobAndItsSummaryCountsItsRequests(_ job: String) async throws {
        let stage = try await Self.filling.value.stage
        let budget = try #require(try Budgets.deployed()[job], "jobs.yaml has no budget of requests for \(job)")

        let (outcome, requests) = try await stage.counting(.named(job))

        _ = try outcome.succeeded()
        let line = try #require(outcome.output.split(separator: "\n").last)
        let summary = try JSONDecoder().decode(Budgets.Summary.self, from: Data(line.utf8))
        #expect(summary.requests == requests.total)
        #expect(requests.total <= budget)
    }
}

/// The budgets of requests in `deployment.json`.
private enum Budgets {
    struct Summary: Decodable { let requests: Int }

    private struct Deployment: Decodable {
        struct Job: Decodable {
            struct Budget: Decodable { let requests: Int? }
            let job: String
            let budget: Budget?
        }
        let jobs: [Job]
    }

    static func deployed() throws -> [String: Int] {
        let text = try Data(contentsOf: URL(filePath: Repository.path("deploy/generated/prod/deployment.json")))
        let jobs = try JSONDecoder().decode(Deployment.self, from: text).jobs
        return Dictionary(
            uniqueKeysWithValues: jobs.compactMap { job in (job.budget?.requests).map { (job.job, $0) } })
    }
}
