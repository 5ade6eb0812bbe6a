import BigQueryWarehouse
import EmbeddedWarehouse
import Foundation
import JobRuntime
import TestSupport
import Testing

@testable import SchemaKit
@testable import Warehouse
@testable import WarehouseKit

private func reference(_ dataset: String, _ table: String) throws -> TableReference {
    let id = try #require(DatasetID(dataset))
    return try #require(TableReference(id, table))
}

/// Tables as an earlier service left them: without partitioning and clustering.
@Suite(.serialized) struct TakenOverTablesTests {
    private static let layout: Set<SchemaDifference.Kind> = [.partitioning, .clustering]

    private static func flat() throws -> [NamedTable] {
        try Catalog.embedded([.organization]).tables(.organization).map { named in
            var named = named
            named.table.timePartitioning = nil
            named.table.requirePartitionFilter = nil
            named.table.clustering = nil
            return named
        }
    }

    private func sync(
        _ warehouse: any Warehouse, tolerated: Set<SchemaDifference.Kind> = [],
        applied: Set<SchemaDifference.Kind> = [],
        isDryRun: Bool = false, explainedOn day: CivilDate? = nil
    ) async throws -> ReportFixture {
        let fixture = ReportFixture()
        var sync = OrganizationSync(
            sql: warehouse, schema: warehouse, catalog: try Catalog.embedded([.organization]), environment: .test,
            report: fixture.report, isDryRun: isDryRun)
        sync.tolerated = tolerated
        sync.applied = applied
        sync.explanationDay = day
        try await sync.run()
        return fixture
    }

    private func takenOver(_ warehouse: any Warehouse, _ slugs: [String]) async throws {
        _ = try await OrganizationFixture(warehouse, slugs.map { .init($0) })
        for slug in slugs {
            let id = try #require(DatasetID("\(slug)_test"))
            _ = try await warehouse.createDataset(Dataset(id: id, location: "US"))
            try await warehouse.createTables(Self.flat(), in: id, at: "US")
        }
    }

    private func lines(_ report: ReportFixture) -> Int {
        report.output.split(separator: "\n").count + report.failures.count + report.warnings.count
    }

    @Test func threeTenantsWithTheLayoutToleratedAreASuccessInTwoRequestsAndTwoLines() async throws {
        let bigQuery = try await EmulatedBigQuery(project: "taken-over-three")
        try await takenOver(bigQuery.warehouse, ["acme", "globex", "initech"])
        let before = try await bigQuery.requests

        let report = try await sync(bigQuery.warehouse, tolerated: Self.layout)

        #expect(try await bigQuery.requests - before == 2)
        #expect(report.failures.isEmpty)
        #expect(report.warnings.isEmpty)
        #expect(report["in_sync"] == 3)
        #expect(report["tolerated"] > 0)
        #expect(lines(report) == 2)
    }

    @Test func eachDifferenceThatIsNotToleratedIsOneFailureWithACountAndThreeNames() async throws {
        let bigQuery = try await EmulatedBigQuery(project: "taken-over-failing")
        try await takenOver(bigQuery.warehouse, ["acme", "globex", "initech", "umbrella"])

        let report = try await sync(bigQuery.warehouse)

        let tables = try Catalog.embedded([.organization]).tables(.organization).map(\.table)
        let expected = tables.count { $0.timePartitioning != nil } + tables.count { $0.clustering != nil }
        #expect(report.failures.count == expected)
        #expect(
            report.failures.allSatisfy {
                $0.reason.contains(
                    "in 4 datasets (acme_test, globex_test, initech_test ...); they were left as they are")
            })
        #expect(report["conflicts"] == 4 * expected)
    }

    @Test func aThousandTenantsWithTheLayoutToleratedTakeTwoRequestsAndTwoLines() async throws {
        let (fixture, report) = try await thousand(tolerated: Self.layout)

        #expect(fixture.server.requests.count == 2)
        #expect(report.failures.isEmpty)
        #expect(report["in_sync"] == 1000)
        #expect(lines(report) == 2)
        #expect(report.output.contains("tolerated: clustering: "))
        #expect(report.output.contains("up to 1000 datasets (org_000_test, org_001_test, org_002_test ...)"))
    }

    @Test func aThousandTenantsAreOneFailureForEachSharedDifference() async throws {
        let (_, report) = try await thousand(tolerated: [])

        #expect(report.failures.count == 35)
        #expect(
            report.failures.allSatisfy {
                $0.reason.contains("in 1000 datasets (org_000_test, org_001_test, org_002_test ...)")
            })
    }

    private func thousand(
        tolerated: Set<SchemaDifference.Kind>
    ) async throws -> (BigQueryFixture, ReportFixture) {
        let flat = try Self.flat()
        let datasets = (0..<1000).map { number in
            SurveyAnswer.Dataset("org_" + String(number + 1000).dropFirst(), tables: flat)
        }
        let answer = SurveyAnswer(datasets, wanted: flat.map(\.name))
        let comparison = answer.reply()
        let fixture = try BigQueryFixture { request in
            guard request.path.hasSuffix("/queries") else {
                let name = request.path.split(separator: "/").last.map(String.init) ?? ""
                let bare = String(name.split(separator: "?")[0])
                guard let table = flat.first(where: { $0.name == bare }) else { return .refusal(404, "notFound") }
                return .json(String(decoding: (try? JSONEncoder().encode(table.table)) ?? Data(), as: UTF8.self))
            }
            let sql = request.jsonBody["query"]?.string ?? ""
            if sql.contains("INFORMATION_SCHEMA") { return comparison }
            let names = ["slug", "named", "dataset", "owner", "is_valid", "is_reserved", "is_misnamed", "is_ambiguous"]
            return SurveyAnswer.reply(
                names.map { ($0, "STRING") } + [("organizations", "INTEGER")],
                [Array(repeating: .null(.string), count: 8) + [.string("1000")]])
        }
        return (fixture, try await sync(fixture.warehouse, tolerated: tolerated))
    }

    @Test func clusteringIsSetInPlaceAndOnlyClustering() async throws {
        let bigQuery = try await EmulatedBigQuery(project: "taken-over-applied")
        try await takenOver(bigQuery.warehouse, ["acme", "globex"])
        let clustered = try Catalog.embedded([.organization]).tables(.organization).filter {
            $0.table.clustering != nil
        }

        let dry = try await sync(bigQuery.warehouse, tolerated: [.partitioning], applied: [.clustering], isDryRun: true)
        let first = try await sync(bigQuery.warehouse, tolerated: [.partitioning], applied: [.clustering])
        let second = try await sync(bigQuery.warehouse, tolerated: [.partitioning], applied: [.clustering])

        #expect(dry.output.contains("would close: clustering: "))
        #expect(dry["clusterings_updated"] == 2 * clustered.count)
        #expect(first["tables_updated"] == 2 * clustered.count)
        #expect(first["clusterings_updated"] == 2 * clustered.count)
        #expect(first.failures.isEmpty)
        #expect(second["tables_updated"] == 0)
        #expect(second["in_sync"] == 2)
        let reference = try reference("acme_test", clustered[0].name)
        let table = try #require(try await bigQuery.warehouse.table(reference))
        #expect(table.clustering == clustered[0].table.clustering)
        #expect(table.timePartitioning == nil)
    }

    @Test func descriptionsLabelsAndDefaultsAreSetAndWhatOnlyTheTableHasStays() async throws {
        let warehouse = try EmbeddedWarehouse(path: ":memory:")
        _ = try await OrganizationFixture(warehouse, [.init("acme")])
        let file = Data(
            #"""
            {"description": "Plans", "labels": {"team": "data"}, "schema": {"fields": [
              {"name": "a", "type": "STRING", "description": "An a"},
              {"name": "b", "type": "TIMESTAMP", "defaultValueExpression": "CURRENT_TIMESTAMP()"},
              {"name": "c", "type": "INTEGER", "defaultValueExpression": "0"}]}}
            """#.utf8)
        let catalog = try Catalog([.organization: [CatalogFile(name: "plans", path: "plans.json", contents: file)]])
        let reference = try reference("acme_test", "plans")
        _ = try await warehouse.createDataset(Dataset(id: reference.dataset, location: "US"))
        let old = Table(
            description: "Old",
            fields: [
                FieldSchema("own", "STRING", description: "Own"), FieldSchema("A", "STRING"),
                FieldSchema("b", "TIMESTAMP"),
            ],
            clustering: .init(fields: ["own"]), labels: ["team": "old", "own": "x"])
        _ = try await warehouse.createTable(reference, old)
        let report = ReportFixture()
        var sync = OrganizationSync(
            sql: warehouse, schema: warehouse, catalog: catalog, environment: .test, report: report.report)
        sync.applied = [.description, .labels, .defaultValue]

        try await sync.run()

        let table = try #require(try await warehouse.table(reference))
        #expect(table.description == "Plans")
        #expect(table.labels == ["team": "data", "own": "x"])
        #expect(table.schema.fields.map { $0.description ?? "" } == ["Own", "An a", "", ""])
        #expect(table.schema.fields.map { $0.defaultValueExpression ?? "" } == ["", "", "CURRENT_TIMESTAMP()", "0"])
        #expect(table.clustering?.fields == ["own"])
        #expect(report.failures.count == 1, "the clustering is a conflict still")
        #expect(report["tables_updated"] == 1)
        #expect(report["descriptions_updated"] == 2)
        #expect(report["labels_updated"] == 1)
        #expect(report["defaults_updated"] == 2)
    }

    @Test func anExplanationWritesNothingAndPrintsStatementsForARealTable() async throws {
        let warehouse = try EmbeddedWarehouse(path: ":memory:")
        try await takenOver(warehouse, ["acme"])
        let day = try #require(CivilDate("2026-11-30"))

        let report = try await sync(warehouse, isDryRun: true, explainedOn: day)

        #expect(report.output.contains("partitioning: The table has no partitions or other ones."))
        #expect(report.output.contains("ALTER TABLE `acme_test."))
        #expect(report.output.contains("_before_20261130`;"))
    }
}

/// The statements with which an operator rebuilds a table, as far as an emulator runs them: all but the swap.
@Suite(.serialized) struct TableRebuildTests {
    @Test func theCopyHasEveryRowAndColumnAndTheComparisonFailsWhereItHasNot() async throws {
        let bigQuery = try await EmulatedBigQuery(project: "table-rebuild")
        let dataset = try #require(DatasetID("acme_test"))
        let reference = try #require(TableReference(dataset, "plans"))
        _ = try await bigQuery.warehouse.createDataset(Dataset(id: dataset, location: "US"))
        let fields = [
            FieldSchema("id", "STRING", mode: .required), FieldSchema("day", "DATE"),
            FieldSchema("own column", "INTEGER"),
        ]
        _ = try await bigQuery.warehouse.createTable(reference, Table(fields: fields, labels: ["own": "x"]))
        func run(_ sql: String) async throws -> QueryResult {
            try await bigQuery.warehouse.query(Statement("rebuild", sql))
        }
        _ = try await run(
            "INSERT INTO \(reference.sql) VALUES ('a', DATE '2026-01-01', 1), ('b', NULL, NULL), ('b', NULL, NULL)")
        var expected = Table(
            description: "Plans", fields: [FieldSchema("id", "STRING", mode: .required), FieldSchema("day", "DATE")],
            timePartitioning: .init(type: "DAY", field: "day"), clustering: .init(fields: ["id"]))
        expected.requirePartitionFilter = true
        let actual = try #require(try await bigQuery.warehouse.table(reference))
        let rebuild = TableRebuild(of: reference, actual: actual, as: expected, on: CivilDate("2026-11-30")!)

        for step in rebuild.copy { _ = try await run(step.sql) }
        let outcome = try await run(rebuild.comparison.sql)

        #expect(rebuild.obstacle == nil)
        #expect(try outcome.rows.first?.string("outcome") == "equal: 3 rows")
        let built = try #require(TableReference(dataset, "plans_rebuilt"))
        let table = try #require(try await bigQuery.warehouse.table(built))
        #expect(table.timePartitioning?.field == "day")
        #expect(table.clustering?.fields == ["id"])
        #expect(table.labels == ["own": "x"])
        #expect(table.schema.fields.map(\.name) == ["id", "day", "own column"])
        for change in [
            "UPDATE \(built.sql) SET `own column` = 2 WHERE id = 'a'", "DELETE FROM \(built.sql) WHERE id = 'b'",
        ] {
            _ = try await run(change)
            await #expect(throws: WarehouseError.self) { _ = try await run(rebuild.comparison.sql) }
        }
    }

    @Test func saysWhereStatementsCannotDoIt() throws {
        let reference = try reference("acme_test", "plans")
        let actual = Table(fields: [FieldSchema("day", "STRING")])
        let expected = Table(
            fields: [FieldSchema("day", "DATE")], timePartitioning: .init(type: "DAY", field: "day"))

        let rebuild = TableRebuild(of: reference, actual: actual, as: expected, on: CivilDate("2026-11-30")!)

        #expect(
            rebuild.script.contains("cannot be done by statements: day is STRING, by which BigQuery cannot partition"))
        #expect(!rebuild.script.contains("RENAME"))
    }
}

@Suite struct DifferenceSettingsTests {
    private func settings(_ text: String) -> (tolerated: Set<SchemaDifference.Kind>, problems: [String]) {
        var reader = EnvironmentReader(["TOLERATED_DIFFERENCES": text])
        let settings = DifferenceSettings(reading: &reader)
        return (settings.tolerated, reader.problems)
    }

    @Test func readsKindsAndTheWordForLayout() {
        let (tolerated, problems) = settings("layout, labels,partition_filter")

        #expect(tolerated == [.partitioning, .clustering, .labels, .partitionFilter])
        #expect(problems.isEmpty)
    }

    @Test func namesTheKindsWhereAWordIsWrong() {
        let problem = settings("layuot").problems.first ?? ""

        #expect(problem.hasPrefix(#"TOLERATED_DIFFERENCES: "layuot" is no kind of difference; did you mean layout?"#))
        #expect(problem.contains("partitioning, clustering, expiration"))
    }

    @Test(arguments: ["table", "type"])
    func refusesWhatStatementsCannotLiveWith(_ kind: String) {
        #expect(settings(kind).problems.first?.contains("cannot be tolerated, because statements") == true)
    }

    @Test func theOperatorsTableListsEveryKindWithItsMeaningAndRemedy() throws {
        let path = Repository.path("docs/operations.md")
        let document = try String(contentsOfFile: path, encoding: .utf8)
        for kind in SchemaDifference.Kind.allCases {
            let row = document.split(separator: "\n").first { $0.hasPrefix("| `\(kind.rawValue)` |") }
            let cells = row?.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } ?? []
            #expect(cells.count == 4, "\(kind.rawValue)")
            guard cells.count == 4 else { continue }
            #expect(cells[1] == kind.meaning)
            #expect(cells[3] == kind.remedy)
        }
    }
}
