import EmbeddedWarehouse
import JobRuntime
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@Suite struct OrganizationSyncTests {
    private func fixture(_ profiles: [OrganizationFixture.Profile]) async throws -> OrganizationFixture {
        try await OrganizationFixture(try EmbeddedWarehouse(path: ":memory:"), profiles)
    }

    @Test func givesEveryActiveOrganizationItsTablesAndThenRests() async throws {
        let fixture = try await fixture([
            .init("globex"), .init("acme", dataset: "own_data"), .init("gone", status: "SUSPENDED"),
            .init("lower", status: "active"),
        ])

        let first = try await fixture.sync()
        let second = try await fixture.sync()

        #expect(first.failures.isEmpty)
        #expect(first["organizations"] == 2)
        #expect(first["datasets_created"] == 2)
        #expect(first["tables_created"] == 38)
        #expect(second["in_sync"] == 2)
        #expect(second["datasets_created"] + second["tables_created"] + second["columns_added"] == 0)
        #expect(try await fixture.warehouse.tables(in: #require(DatasetID("own_data"))).count == 19)
        let dataset = try await fixture.warehouse.dataset(#require(DatasetID("globex_test")))
        #expect(
            dataset?.labels == ["environment": "test", "managed_by": "scheduler-jobs", "org_slug": "globex"])
        for name in ["acme_test", "gone_test", "lower_test"] { #expect(try await !fixture.hasDataset(name)) }
    }

    /// The label distinguishes customers' datasets from the service's own.
    @Test func aSlugThatIsNoLabelLeavesTheLabelEmpty() async throws {
        let fixture = try await fixture([.init("Acme")])

        try await fixture.sync()

        let dataset = try await fixture.warehouse.dataset(#require(DatasetID("Acme_test")))
        #expect(dataset?.labels["org_slug"] == "")
    }

    @Test func succeedsWithNoActiveOrganization() async throws {
        let report = try await fixture([.init("gone", status: "SUSPENDED")]).sync()

        #expect(report.failures.isEmpty)
        #expect(report["organizations"] == 0)
        #expect(report.output.contains("no active organization"))
    }

    @Test(arguments: [
        "a;drop", "../x", "a`b", "", "ａcme", "аcme", "acme\u{200B}", String(repeating: "x", count: 300),
        "a' OR '1'='1", "a-b",
    ])
    func reportsAHostileSlugAndServesTheOthers(_ slug: String) async throws {
        let fixture = try await fixture([.init(slug), .init("zeta")])

        let report = try await fixture.sync()

        #expect(report.failures.count == 1)
        #expect(report.failures.first?.subject == quoted(slug))
        #expect(report.failures.first?.reason.contains("not a valid slug") == true)
        #expect(report["datasets_created"] == 1)
        #expect(try await fixture.hasDataset("zeta_test"))
    }

    @Test func reportsAnOrganizationThatNamesADatasetOfTheService() async throws {
        let fixture = try await fixture([
            .init("evil", dataset: "organizations"), .init("mean", dataset: "Scheduler_Jobs"), .init("zeta"),
        ])
        let before = try await fixture.warehouse.tables(in: DatasetID.organizations)

        let report = try await fixture.sync()

        #expect(report.failures.map(\.subject) == ["evil", "mean"])
        #expect(report["datasets_created"] == 1)
        #expect(try await fixture.warehouse.tables(in: DatasetID.organizations) == before)
    }

    @Test func servesAnOrganizationWhoseDatasetNameIsWrongInItsStandardOne() async throws {
        let fixture = try await fixture([.init("acme", dataset: "a;drop table x")])

        let report = try await fixture.sync()

        #expect(report.failures.map(\.subject) == ["acme"])
        #expect(try await fixture.hasDataset("acme_test"))
    }

    @Test func givesADatasetToTheFirstOfThoseThatNameIt() async throws {
        let fixture = try await fixture([
            .init("b", dataset: "shared"), .init("a", dataset: "shared"), .init("c", dataset: "a_test"),
        ])

        let report = try await fixture.sync()

        #expect(report.failures.map(\.subject) == ["b"])
        #expect(report.failures.first?.reason == "dataset shared is already that of a")
        #expect(report["datasets_created"] == 2)
    }

    @Test func countsASlugThatIsThereTwiceOnce() async throws {
        let report = try await fixture([.init("acme"), .init("acme")]).sync()

        #expect(report.failures.isEmpty)
        #expect(report["organizations"] == 1)
    }

    @Test func takesTheProfileThatNamesADatasetWhereASlugIsThereTwice() async throws {
        let profiles: [OrganizationFixture.Profile] = [
            .init("acme"), .init("acme", dataset: "own_b"), .init("acme", dataset: "own_a"),
        ]
        let fixture = try await fixture(profiles)

        let report = try await fixture.sync()

        #expect(try await fixture.hasDataset("own_a"))
        #expect(report["datasets_created"] == 1)
        #expect(report.warnings.map(\.subject) == ["acme"])
        #expect(report.warnings.first?.reason.contains(#""own_a" counts"#) == true)
    }

    @Test func servesTheOthersWhereASlugIsNull() async throws {
        let warehouse = try EmbeddedWarehouse(path: ":memory:")
        let profiles = OrganizationDirectory.profiles
        _ = try await warehouse.createDataset(Dataset(id: profiles.dataset, location: "US"))
        _ = try await warehouse.createTable(
            profiles,
            Table(fields: ["org_slug", "org_dataset_id", "status"].map { FieldSchema($0, "STRING") }))
        _ = try await warehouse.query(
            Statement(
                "add organizations",
                "INSERT INTO \(profiles.sql) (org_slug, status) VALUES (NULL, 'ACTIVE'), ('zeta', 'ACTIVE')"))
        let fixture = try await OrganizationFixture(warehouse)

        let report = try await fixture.sync()

        #expect(report.failures.map(\.subject) == [#""""#])
        #expect(try await fixture.hasDataset("zeta_test"))
    }

    @Test func addsMissingColumnsAndLeavesConflictsAlone() async throws {
        let fixture = try await fixture([.init("acme")])
        let catalog = try Catalog.embedded([.organization]).tables(.organization)
        var (short, other) = (catalog[0], catalog[1])
        let missing = short.table.schema.fields.removeLast()
        other.table.schema.fields[0].type = other.table.schema.fields[0].type == "DATE" ? "TIME" : "DATE"
        other.table.timePartitioning = nil
        other.table.clustering = nil
        let dataset = try #require(DatasetID("acme_test"))
        _ = try await fixture.warehouse.createDataset(Dataset(id: dataset, location: "US"))
        for table in [short, other] {
            let reference = try #require(TableReference(dataset, table.name))
            _ = try await fixture.warehouse.createTable(reference, table.table)
        }

        let dry = try await fixture.sync(isDryRun: true)
        let report = try await fixture.sync()

        #expect(dry["columns_added"] == 1)
        #expect(dry["tables_created"] == 17)
        #expect(dry.output.contains("    + \(short.name): \(missing.name) \(missing.sqlType)\n"))
        #expect(report["columns_added"] == 1)
        #expect(report["tables_created"] == 17)
        #expect(report["conflicts"] == report.failures.count)
        #expect(Set(report.failures.map(\.subject)) == ["acme_test.\(other.name)"])
        let reference = try #require(TableReference(dataset, short.name))
        #expect(try await fixture.warehouse.table(reference)?.schema.fields.last?.name == missing.name)
    }

    @Test func writesNothingInADryRun() async throws {
        let fixture = try await fixture([.init("acme")])

        let report = try await fixture.sync(isDryRun: true)

        #expect(report["datasets_created"] == 1)
        #expect(report["tables_created"] == 19)
        #expect(report.output.contains("    + dataset in US with 19 tables\n"))
        #expect(!report.output.contains("created"))
        #expect(try await !fixture.hasDataset("acme_test"))
    }

    @Test func servesOnlyTheOrganizationsThatAreNamed() async throws {
        let fixture = try await fixture([.init("a"), .init("b"), .init("off", status: "SUSPENDED")])

        let report = try await fixture.sync(only: ["b", "nobody", "off"])

        #expect(report["organizations"] == 1)
        #expect(report.failures.map(\.subject) == ["nobody", "off"])
        #expect(try await fixture.hasDataset("b_test"))
        #expect(try await !fixture.hasDataset("a_test"))
    }

    @Test func saysThatBootstrapComesFirst() async throws {
        let warehouse = try EmbeddedWarehouse(path: ":memory:")

        let error = await #expect(throws: WarehouseError.self) {
            _ = try await OrganizationDirectory(environment: .test).census(
                of: [], in: warehouse, location: warehouse.location)
        }

        #expect(error?.code == .notFound)
        #expect(error?.description.contains("run bootstrap first, or set BIGQUERY_LOCATION (now US)") == true)
    }
}

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

/// A warehouse with the service's own datasets, in which a test creates organizations.
struct OrganizationFixture {
    let warehouse: any Warehouse

    struct Profile {
        var slug: String
        var dataset = ""
        var status = "ACTIVE"

        init(_ slug: String, dataset: String = "", status: String = "ACTIVE") {
            self.slug = slug
            self.dataset = dataset
            self.status = status
        }
    }

    init(_ warehouse: any Warehouse, _ profiles: [Profile] = []) async throws {
        self.warehouse = warehouse
        try await warehouse.bootstrapped()
        if !profiles.isEmpty { try await add(profiles) }
    }

    func add(_ profile: Profile) async throws { try await add([profile]) }

    private func add(_ profiles: [Profile]) async throws {
        try await warehouse.insert(
            into: "organizations.org_profiles",
            profiles.map { profile in
                [
                    "org_slug": .string(profile.slug), "org_dataset_id": .string(profile.dataset),
                    "status": .string(profile.status),
                ]
            })
    }

    @discardableResult
    func sync(
        only slugs: [String] = [], catalog: Catalog? = nil, task: CloudRunTask = CloudRunTask(), isDryRun: Bool = false,
        approval: Approval = .none, writesHistory: Bool = false, killedAt: Int? = nil,
        historyIn history: (any SQLWarehouse)? = nil
    ) async throws -> ReportFixture {
        let fixture = ReportFixture()
        let sql: any Warehouse = killedAt.map { FaultyWarehouse(warehouse, .killedBefore($0)) } ?? warehouse
        var sync = OrganizationSync(
            sql: sql, schema: warehouse, catalog: try catalog ?? Catalog.embedded([.organization]),
            environment: .test,
            report: fixture.report, task: task, isDryRun: isDryRun)
        sync.approval = approval
        if writesHistory { sync.history = SchemaHistory(sql: history ?? sql, job: "org-sync-all", task: task) }
        try await sync.run(only: slugs)
        return fixture
    }

    func hasDataset(_ name: String) async throws -> Bool {
        guard let id = DatasetID(name) else { return false }
        return try await warehouse.dataset(id) != nil
    }
}
