import BigQueryWarehouse
import Foundation
import JobRuntime
import TestSupport
import Testing

@testable import BigQueryWarehouse
@testable import QuotaKit
@testable import SchemaKit
@testable import Warehouse
@testable import WarehouseKit

/// Every statement that goes to BigQuery resolves for GoogleSQL's analyzer, against the tables of our own files.
@Suite struct StatementAnalysisTests {
    private static let organization = DatasetID("acme_test")!
    private static let datasets: [(Catalog.Group, DatasetID)] = [
        (.organizations, DatasetID.organizations), (.operations, DatasetID.schedulerJobs),
        (.organization, organization),
    ]

    private func analyzer() throws -> SQLAnalyzer {
        SQLAnalyzer(
            tables: try Self.datasets.flatMap { group, dataset in
                try Catalog.embedded([group]).tables(group).map {
                    try SQLAnalyzer.Table(
                        dataset: dataset.name, name: $0.name, resource: try JSONEncoder().encode($0.table))
                }
            })
    }

    private func analyzed(_ statement: Statement) -> SQLAnalyzer.Statement {
        SQLAnalyzer.Statement(
            name: statement.purpose, sql: statement.sql,
            parameters: Dictionary(
                statement.parameters.map { ($0.name, $0.value.type.text) }, uniquingKeysWith: { first, _ in first }))
    }

    @Test func resolvesTheComparison() async throws {
        let tables = try Catalog.embedded([.organization]).tables(.organization)
        let directory = OrganizationDirectory(environment: .prod)
        let datasets = [Self.organization, DatasetID.organizations]
        let named = datasets.map { SurveyTarget(subject: $0.name, dataset: $0) }
        let known = SurveyScope.Known.table(OrganizationDirectory.profiles)
        let scopes = [
            SurveyScope(.rows(of: directory.targets()), location: "US", known: known),
            SurveyScope(.rows(of: directory.targets(only: ["acme"])), location: "US", known: known),
            SurveyScope(.datasets(named), location: "EU", known: .targets),
        ]
        var statements: [Statement] = []
        for scope in scopes {
            let survey = SurveyStatement(source: .region("region-europe-west1"), scope: scope, tables: tables)
            statements += [survey.summary, survey.members(of: ["a:b"]), SurveyStatement.targets(scope)]
        }
        for datasets in [datasets, [Self.organization]] {
            let scope = SurveyScope(.datasets(named), location: "US", known: .nothing)
            statements.append(SurveyStatement(source: .datasets(datasets), scope: scope, tables: tables).summary)
        }

        let problems = try await analyzer().problems(in: statements.map(analyzed))

        #expect(problems == [])
    }

    @Test func resolvesTheListingOfOrganizationsAndTheRunHistory() async throws {
        let instant = Timestamp(microseconds: 0)
        let history = RunHistory(job: "bootstrap", task: CloudRunTask(), environment: "test", startedAt: instant)
        let directory = OrganizationDirectory(environment: .prod)

        let problems = try await analyzer().problems(in: [
            analyzed(directory.targets()), analyzed(directory.targets(only: ["acme"])),
            analyzed(directory.census(of: ["acme"])),
            analyzed(Statement("counts", ProfileCounts.sql)),
            analyzed(history.statement(ReportFixture().report.outcome(isStopped: false), finishedAt: instant)),
        ])

        #expect(problems == [])
    }

    @Test func resolvesTheCreationOfEveryTable() async throws {
        let statements = try Self.datasets.flatMap { group, dataset in
            try Catalog.embedded([group]).tables(group).map { table in
                let reference = try #require(TableReference(dataset, table.name))
                return SQLAnalyzer.Statement(
                    name: "\(reference)", sql: TableDDL.statement(reference, table.table))
            }
        }

        let problems = try await analyzer().problems(in: statements)

        #expect(statements.count == 46)
        #expect(problems == [])
    }

    /// All but partitions by ingestion time, whose pseudo columns the analyzer does not know.
    @Test func resolvesTablesThatUseWhatOursDoNot() async throws {
        let partitions: [(String, Table.TimePartitioning)] = [
            ("DATE", .init(type: "MONTH", field: "c")), ("DATE", .init(type: "YEAR", field: "c")),
            ("TIMESTAMP", .init(type: "HOUR", field: "c")), ("TIMESTAMP", .init(type: "DAY", field: "c")),
            ("DATETIME", .init(type: "DAY", field: "c")),
        ]
        let record = FieldSchema(
            "r", "RECORD", mode: .repeated, description: "A \"record\"\n`x`",
            fields: [
                FieldSchema("a", "STRING", mode: .required, attributes: ["maxLength": .string("20")]),
                FieldSchema("b", "NUMERIC", mode: .repeated, attributes: ["precision": .string("10")]),
            ])
        let statements = try partitions.enumerated().map { index, item in
            var table = Table(
                description: "It's \\ one", fields: [FieldSchema("c", item.0), record], timePartitioning: item.1,
                clustering: .init(fields: ["c"]), labels: ["a": "b"])
            table.requirePartitionFilter = true
            let reference = try #require(TableReference(Self.organization, "own_\(index)"))
            return SQLAnalyzer.Statement(name: "\(item)", sql: TableDDL.statement(reference, table))
        }

        #expect(try await analyzer().problems(in: statements) == [])
    }

    private static let unusualFields = [
        FieldSchema("Größe", "STRING", description: "a `b`"), FieldSchema("2nd", "DATE"),
        FieldSchema("it's", "INTEGER"),
        FieldSchema("range", "RANGE", attributes: ["rangeElementType": .object(["type": .string("DATE")])]),
        FieldSchema(
            "order id", "RECORD", mode: .repeated,
            fields: [FieldSchema("a&b", "BIGNUMERIC", attributes: ["precision": .string("10"), "scale": .string("0")])]),
    ]

    @Test func resolvesTheCreationOfTablesWithUnusualNamesAndTypes() async throws {
        let reference = try #require(TableReference(Self.organization, "unusual"))
        var table = Table(fields: Self.unusualFields, clustering: .init(fields: ["order id", "Größe"]))
        table.timePartitioning = .init(type: "MONTH", field: "2nd")

        let problems = try await analyzer().problems(in: [
            SQLAnalyzer.Statement(name: "create", sql: TableDDL.statement(reference, table))
        ])

        #expect(problems == [])
    }

    @Test func resolvesTheAdditionOfColumns() async throws {
        let profiles = try #require(
            Catalog.embedded([.organizations]).tables(.organizations).first { $0.name == "org_profiles" })
        let added =
            Self.unusualFields + [
                FieldSchema("folded", "STRING", mode: .repeated, attributes: ["collation": .string("und:ci")]),
                FieldSchema("rounded", "NUMERIC", attributes: ["roundingMode": .string("ROUND_HALF_EVEN")]),
            ]
        let fields = profiles.table.schema.fields
        let sql = try #require(
            TableDDL.additions(to: OrganizationDirectory.profiles, from: fields, to: fields + added))

        let problems = try await analyzer().problems(in: [
            SQLAnalyzer.Statement(name: "add", sql: sql),
            SQLAnalyzer.Statement(name: "wrong", sql: sql.replacing("STRING", with: "TEXT")),
        ])

        #expect(problems.map(\.statement) == ["wrong"])
    }

    /// The statements up to the swap resolve before it, and the others against the names that it leaves.
    @Test func resolvesTheStatementsThatRebuildATableAndThoseThatAlterColumns() async throws {
        let fields = Self.unusualFields.map { field in
            var field = field
            if field.name == "it's" { field.attributes["defaultValueExpression"] = .string("0") }
            return field
        }
        var expected = Table(
            description: "It's", fields: fields, timePartitioning: .init(type: "MONTH", field: "2nd"),
            clustering: .init(fields: ["Größe"]), labels: ["a": "b"])
        expected.timePartitioning?.expirationMs = "86400000000"
        expected.requirePartitionFilter = true
        var actual = Table(fields: fields + [FieldSchema("own", "STRING")])
        actual.requirePartitionFilter = true
        var ranges = expected
        ranges.timePartitioning = nil
        ranges.requirePartitionFilter = nil
        ranges.rangePartitioning = .init(field: "it's", start: 0, end: 100, interval: 10)
        let day = try #require(CivilDate("2026-11-30"))
        let reference = try #require(TableReference(Self.organization, "rebuild_me"))
        let other = try #require(TableReference(Self.organization, "ranges"))
        var changed = actual.schema.fields
        changed[0].description = "new"
        changed[1].description = nil
        changed[2].attributes["defaultValueExpression"] = nil
        changed[5].attributes["defaultValueExpression"] = .string("'x'")
        let alteration = try #require(
            TableDDL.alterations(of: reference, from: actual.schema.fields, to: changed))
        let rebuilds = [(reference, expected), (other, ranges)].map {
            TableRebuild(of: $0, actual: actual, as: $1, on: day)
        }
        let steps = rebuilds.flatMap { $0.copy + [$0.comparison] + $0.swap }
        let ordered = steps.map { SQLAnalyzer.Statement(name: $0.purpose, sql: $0.sql) }
        let tables = try ["rebuild_me", "ranges", "rebuild_me_rebuilt", "ranges_rebuilt"].map {
            try SQLAnalyzer.Table(
                dataset: Self.organization.name, name: $0, resource: try JSONEncoder().encode(actual))
        }

        let problems = try await SQLAnalyzer(tables: tables).problems(
            in: ordered + [SQLAnalyzer.Statement(name: "alter", sql: alteration)])

        #expect(rebuilds.allSatisfy { $0.obstacle == nil })
        #expect(problems == [])
    }

    @Test func refusesWhatIsWrong() async throws {
        let problems = try await analyzer().problems(in: [
            SQLAnalyzer.Statement(
                name: "no such column", sql: "SELECT org_slugg FROM \(OrganizationDirectory.profiles.sql)")
        ])

        #expect(problems.map(\.statement) == ["no such column"])
    }
}
