import EmbeddedWarehouse
import JobRuntime

#if EmbeddedWarehouse
    import JobRuntime
    import TestSupport
    import Testing
    import WarehouseKit

    @Suite struct TaskShareTests {
        private let slugs = (0..<23).map { "org_\($0)" }

        @Test(arguments: [1, 2, 3, 7, 40])
        func coversEachOrganizationExactlyOnce(_ count: Int) async throws {
            let fixture = try await OrganizationFixture(
                try EmbeddedWarehouse(path: ":memory:"), slugs.map { .init($0) })

            var organizations = 0
            var created = 0
            for index in 0..<count {
                let report = try await fixture.sync(task: CloudRunTask(index: index, count: count), isDryRun: true)
                organizations += report["organizations"]
                created += report["datasets_created"]
                #expect(report.failures.isEmpty)
            }

            #expect(organizations == slugs.count)
            #expect(created == slugs.count)
        }

        @Test(arguments: [2, 5])
        func reportsEachProblemOnce(_ count: Int) async throws {
            let fixture = try await OrganizationFixture(
                try EmbeddedWarehouse(path: ":memory:"),
                [
                    .init("a", dataset: "shared"), .init("b", dataset: "shared"), .init("a;drop"),
                    .init("evil", dataset: "organizations"),
                ])

            var failures: [String] = []
            for index in 0..<count {
                let report = try await fixture.sync(
                    only: ["a", "b", "a;drop", "evil", "nobody"], task: CloudRunTask(index: index, count: count),
                    isDryRun: true)
                failures += report.failures.map(\.subject)
            }

            #expect(failures.sorted() == ["\"a;drop\"", "a;drop", "b", "evil", "nobody"])
        }
    }
#endif
