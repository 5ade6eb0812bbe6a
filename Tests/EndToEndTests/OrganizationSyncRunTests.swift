import EmbeddedWarehouse
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@Suite(.timeLimit(.minutes(30))) struct OrganizationSyncRunTests {
    @Test func demoOrganizationsGetTheirDatasetsAndThenNothingIsLeftToDo() async throws {
        let stage = try SQLiteStage()
        _ = try await stage.run(.bootstrap).succeeded()
        _ = try await stage.run(.demoData, "--organizations", "3").succeeded()

        let first = try await stage.run(.orgSyncAll).succeeded()
        let state = try await stage.state()
        let again = try await stage.run(.demoData, "--organizations", "3").succeeded()
        let second = try await stage.run(.orgSyncAll).succeeded()

        #expect(first.counts["datasets_created"] == 3)
        #expect(first.counts["tables_created"] == 57)
        #expect(again.counts["organizations_added"] == 0)
        #expect(second.counts["in_sync"] == 3)
        #expect(second.changes == 0)
        #expect(try await stage.state() == state)
        #expect(try await stage.tables(in: "demo_10002_test")?.count == 19)
    }

    @Test func aNewColumnReachesEveryOrganization() async throws {
        let stage = try SQLiteStage()
        try await stage.prepare(["acme", "globex"])
        _ = try await stage.run(.orgSyncAll).succeeded()
        let catalog = try CatalogCopy()
        try catalog.addColumn("extra_notes", mode: "REQUIRED", to: "organization/subscription_plans")

        let first = try await stage.run(.orgSyncAll, with: catalog.variables).succeeded()
        let second = try await stage.run(.orgSyncAll, with: catalog.variables).succeeded()

        #expect(first.counts["columns_added"] == 2)
        #expect(first.warnings.map(\.subject) == ["subscription_plans.extra_notes"])
        #expect(first.warnings.first?.reason.hasSuffix("in 2 datasets (acme_test, globex_test)") == true)
        #expect(second.changes == 0)
        for dataset in ["acme_test", "globex_test"] {
            let field = try await stage.table(dataset, "subscription_plans")?.schema.fields.last
            #expect(field?.name == "extra_notes")
            #expect(field?.mode == .nullable)
        }
    }

    @Test func hostileAndDoubleOrganizationsDoNotStopTheOthers() async throws {
        let stage = try SQLiteStage()
        let hostile = ["a;drop", "../x", "`a`", "", "аcme", String(repeating: "x", count: 300)]
        try await stage.prepare(hostile + ["zeta", "zeta", "alpha"])
        try await stage.add(["mean"], dataset: "organizations")
        try await stage.add(["twin"], dataset: "alpha_test")
        try await stage.add(["gone"], status: "SUSPENDED")

        let summary = try await stage.run(.orgSyncAll).failed()

        #expect(summary.failures.count == hostile.count + 2)
        #expect(summary.failures.filter { $0.reason.contains("not a valid slug") }.count == hostile.count)
        let named = Dictionary(summary.failures.map { ($0.subject, $0.reason) }) { $1 }
        #expect(named["mean"]?.contains("one of the service's own datasets") == true)
        #expect(named["twin"] == "dataset alpha_test is already that of alpha")
        #expect(summary.counts["datasets_created"] == 2)
        #expect(try await stage.tables(in: "zeta_test")?.count == 19)
        #expect(try await stage.tables(in: "organizations")?.count == 21)
        #expect(try await stage.tables(in: "gone_test") == nil)
    }

    @Test func onlyTheOrganizationsThatAreNamedAreServed() async throws {
        let stage = try SQLiteStage()
        try await stage.prepare(["acme", "globex", "initech"])

        let some = try await stage.run(.orgSyncAll, "--org", "acme", "--org", "initech").succeeded()
        let unknown = try await stage.run(.orgSyncAll, "--org", "nobody", "--org", "globex").failed()

        #expect(some.counts["organizations"] == 2)
        #expect(unknown.failures.map(\.subject) == ["nobody"])
        #expect(unknown.counts["datasets_created"] == 1)
        for slug in ["acme", "initech", "globex"] {
            #expect(try await stage.tables(in: "\(slug)_test")?.count == 19)
        }
    }

    @Test func noActiveOrganizationIsASuccess() async throws {
        let stage = try SQLiteStage()
        try await stage.prepare([])
        try await stage.add(["gone"], status: "SUSPENDED")

        let summary = try await stage.run(.orgSyncAll).succeeded()

        #expect(summary.counts["organizations"] == 0)
        #expect(summary.changes == 0)
    }

    @Test func withoutBootstrapItSaysWhatComesFirst() async throws {
        let summary = try await SQLiteStage().run(.orgSyncAll).failed()

        #expect(summary.failures.first?.reason.contains("run bootstrap first") == true)
    }

    @Test func theTasksOfAnExecutionShareTheOrganizations() async throws {
        let stage = try SQLiteStage()
        let slugs = (1...11).map { "org_\($0)" }
        let catalog = try CatalogCopy(organizationTables: 2)
        try await stage.prepare(slugs + ["bad-slug"], with: catalog.variables)

        var served = 0
        var failures: [String] = []
        for index in 0..<3 {
            let outcome = try await stage.run(
                .orgSyncAll,
                with: catalog.variables.merging([
                    "CLOUD_RUN_TASK_INDEX": String(index), "CLOUD_RUN_TASK_COUNT": "3",
                    "CLOUD_RUN_EXECUTION": "org-sync-all-x1", "CLOUD_RUN_TASK_ATTEMPT": "1",
                ]) { $1 })
            let summary = try outcome.summary()
            #expect(outcome.ending == .exited(summary.failures.isEmpty ? 0 : 1))
            #expect([summary.taskIndex, summary.taskCount, summary.attempt] == [index, 3, 1])
            #expect(summary.execution == "org-sync-all-x1")
            served += summary.counts["organizations"] ?? 0
            failures += summary.failures.map(\.subject)
        }

        #expect(served == slugs.count)
        #expect(failures == [#""bad-slug""#])
        for slug in slugs { #expect(try await stage.tables(in: "\(slug)_test")?.count == 2) }
    }
}
