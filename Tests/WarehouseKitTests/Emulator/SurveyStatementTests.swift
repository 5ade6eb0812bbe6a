import TestSupport
import Testing

@testable import WarehouseKit

/// The comparison over tables that stand for `INFORMATION_SCHEMA`, which can then show what no emulator does.
@Suite(.serialized) struct SurveyStatementTests {
    private static let wanted = Table(
        fields: [
            FieldSchema("id", "STRING", mode: .required), FieldSchema("n", "INTEGER"),
            FieldSchema("day", "DATE", mode: .repeated),
        ], clustering: Table.Clustering(fields: ["n", "id"]))

    /// A row of COLUMNS: table, column, type, is_nullable, is_partitioning_column, clustering position.
    private typealias Column = (String, String, String, String, String, Int?)

    private static let agreeing: [Column] = [
        ("costs", "ID", "STRING", "NO", "NO", 2), ("costs", "n", "INT64", "YES", "NO", 1),
        ("costs", "day", "ARRAY<DATE>", "NO", "NO", nil),
    ]

    private func findings(
        _ columns: [Column], shown schemata: [String] = ["acme"], known: TableReference? = nil
    ) async throws -> [[String?]] {
        let bigQuery = try await EmulatedBigQuery(project: "survey-tests")
        let rows = columns.map { table, column, type, nullable, partitioning, clustering in
            "SELECT 'acme' AS table_schema, '\(table)' AS table_name, '\(column)' AS column_name, '\(type)' AS data_type, "
                + "'\(nullable)' AS is_nullable, '\(partitioning)' AS is_partitioning_column, "
                + "CAST(\(clustering.map(String.init) ?? "NULL") AS INT64) AS clustering_ordinal_position"
        }
        let names = schemata.map { "SELECT '\($0)' AS schema_name" }.joined(separator: " UNION ALL ")
        let survey = SurveyStatement(
            source: .region("region-us"), datasets: [DatasetID("acme")!],
            tables: [NamedTable("costs", Self.wanted)], known: known)
        var statement = survey.statement
        statement.sql = SurveyStatement.sql(
            columns: "(\(rows.joined(separator: " UNION ALL ")))",
            schemata: "(\(names.isEmpty ? "SELECT '' AS schema_name LIMIT 0" : names))")
        return try await bigQuery.warehouse.query(statement).rows.map { row in
            [
                try row.string("dataset"), try row.bool("is_there") ? "is there" : "is not there",
                try row.optionalString("absent"), try row.optionalString("differing"),
            ]
        }.sorted { ($0[0] ?? "") < ($1[0] ?? "") }
    }

    private let unknown: [String?] = ["", "is not there", nil, nil]

    @Test func findsNothingWhereAllAgrees() async throws {
        #expect(try await findings(Self.agreeing) == [unknown])
    }

    @Test func findsADeletedDatasetThatTheViewStillShows() async throws {
        #expect(
            try await findings(Self.agreeing, shown: ["other"])
                == [unknown, ["acme", "is not there", nil, "costs"]])
    }

    @Test func findsATableThatIsAbsent() async throws {
        let other: [Column] = [("other", "id", "STRING", "YES", "NO", nil)]

        #expect(try await findings(other) == [unknown, ["acme", "is there", "costs", nil]])
        #expect(try await findings(other, shown: ["b"]) == [unknown, ["acme", "is not there", "costs", nil]])
    }

    @Test(arguments: 0..<8)
    func findsEveryDifferenceOfAColumn(_ number: Int) async throws {
        var columns = Self.agreeing
        switch number {
        case 0: columns.remove(at: 1)
        case 1: columns[1].2 = "FLOAT64"
        case 2: columns[1].3 = "NO"
        case 3: columns[0].5 = nil
        case 4: (columns[0].5, columns[1].5) = (1, 2)
        case 5: columns[2].2 = "DATE"
        case 6: columns.append(("costs", "own", "DATE", "YES", "YES", nil))
        default: columns.append(("costs", "own", "STRING", "YES", "NO", 3))
        }

        #expect(try await findings(columns) == [unknown, ["acme", "is there", nil, "costs"]])
    }

    @Test func findsNothingInWhatIsAllowed() async throws {
        var columns = Self.agreeing
        columns[0].3 = "YES"
        columns.insert(("costs", "own", "JSON", "YES", "NO", nil), at: 0)
        columns.append(("own_table", "x", "JSON", "YES", "YES", 1))

        #expect(try await findings(columns) == [unknown])
    }

    @Test func tellsWhetherTheKnownTableWasSeen() async throws {
        let seen = TableReference(DatasetID("acme")!, "costs")
        let unseen = TableReference(DatasetID("organizations")!, "org_profiles")

        #expect(try await findings(Self.agreeing, known: seen) == [["", "is there", nil, nil]])
        #expect(try await findings(Self.agreeing, known: unseen) == [unknown])
    }
}
