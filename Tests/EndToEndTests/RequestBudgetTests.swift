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
}
