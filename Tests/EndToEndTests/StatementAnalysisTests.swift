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
        let known = OrganizationDirectory.profiles
        let sources: [SurveyStatement.Source] = [
            .region("region-us"), .region("region-europe-west1"), .datasets([Self.organization]),
            .datasets([Self.organization, DatasetID.organizations]),
        ]

        let problems = try await analyzer().problems(
            in: sources.map {
                analyzed(
                    SurveyStatement(source: $0, datasets: [Self.organization], tables: tables, known: known).statement)
            })

        #expect(problems == [])
    }

    @Test func resolvesTheListingOfOrganizationsAndTheRunHistory() async throws {
        let instant = Timestamp(microseconds: 0)
        let history = RunHistory(job: "bootstrap", task: CloudRunTask(), environment: "test", startedAt: instant)

        let problems = try await analyzer().problems(in: [
            analyzed(Statement("all", OrganizationDirectory.allActive)),
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

        #expect(statements.count == 43)
        #expect(problems == [])
    }

    /// All but partitions by ingestion time, whose pseudo columns the analyzer does not know.
    @Test func resolvesTablesThatUseWhatOursDoNot() async throws {
        let partitions: [(String, Table.TimePartitioning)] = [
            ("DATE", .init(type: "MONTH", field: "c")), ("DATE", .init(type: "YEAR", field: "c")),
            ("TIMESTAMP", .init(type: "HOUR", field: "c")), ("TIMESTAMP", .init(type: "DAY", field: "c")),
            ("DATETIME", .init(type: "DAY", field: "c", expirationMs: "86400000")),
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

    @Test func refusesWhatIsWrong() async throws {
        let problems = try await analyzer().problems(in: [
            SQLAnalyzer.Statement(
                name: "no such column", sql: "SELECT org_slugg FROM \(OrganizationDirectory.profiles.sql)")
        ])

        #expect(problems.map(\.statement) == ["no such column"])
    }
}
