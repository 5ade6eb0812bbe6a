import TestSupport
import Testing

@testable import BigQueryWarehouse
@testable import GoogleCredentials
@testable import Warehouse

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

    /// A row of TABLES: table, type, creation time in seconds. The dataset was made at 100.
    private typealias Shown = (String, String, Int)

    private static let shown: [Shown] = [("costs", "BASE TABLE", 100)]

    private func findings(
        _ columns: [Column], tables: [Shown] = shown, schemata: [(String, Int)] = [("acme", 100)],
        known: TableReference? = nil
    ) async throws -> [[String?]] {
        let bigQuery = try await EmulatedBigQuery(project: "survey-tests")
        let rows = columns.enumerated().map { index, row in
            let (table, column, type, nullable, partitioning, clustering) = row
            // As many columns as a table has here.
            return "SELECT 'acme' AS table_schema, '\(table)' AS table_name, '\(column)' AS column_name, "
                + "\(index % columns.filter { $0.0 == table }.count) AS ordinal_position, '\(type)' AS data_type, "
                + "'\(nullable)' AS is_nullable, '\(partitioning)' AS is_partitioning_column, "
                + "CAST(\(clustering.map(String.init) ?? "NULL") AS INT64) AS clustering_ordinal_position"
        }
        let names = schemata.map { "SELECT '\($0.0)' AS schema_name, TIMESTAMP_SECONDS(\($0.1)) AS creation_time" }
        let shown = tables.map {
            "SELECT 'acme' AS table_schema, '\($0.0)' AS table_name, '\($0.1)' AS table_type, "
                + "TIMESTAMP_SECONDS(\($0.2)) AS creation_time"
        }
        let survey = SurveyStatement(
            source: .region("region-us"), datasets: [DatasetID("acme")!],
            tables: [NamedTable("costs", Self.wanted)], known: known)
        var statement = survey.statement
        statement.sql = SurveyStatement.sql(
            columns: "(\(rows.joined(separator: " UNION ALL ")))",
            tables: "(\(shown.joined(separator: " UNION ALL ")))",
            schemata: "(\(names.joined(separator: " UNION ALL ")))")
        return try await bigQuery.warehouse.query(statement).rows.map { row in
            let first = [try row.string("dataset"), try row.bool("is_there") ? "is there" : "is not there"]
            // Nobody reads more of the row about the table that should be seen.
            return first
                + (first[0].isEmpty
                    ? [nil, nil] : [try row.optionalString("absent"), try row.optionalString("differing")])
        }.sorted { ($0[0] ?? "") < ($1[0] ?? "") }
    }

    private let unknown: [String?] = ["", "is not there", nil, nil]

    @Test func findsNothingWhereAllAgrees() async throws {
        #expect(try await findings(Self.agreeing) == [unknown])
    }

    @Test func findsADeletedDatasetThatTheViewStillShows() async throws {
        #expect(
            try await findings(Self.agreeing, schemata: [("other", 100)])
                == [unknown, ["acme", "is not there", "costs", nil]])
    }

    @Test func findsATableOfADeletedDatasetOfThatName() async throws {
        #expect(
            try await findings(Self.agreeing, tables: [("costs", "BASE TABLE", 99)])
                == [unknown, ["acme", "is there", "costs", nil]])
        #expect(
            try await findings(Self.agreeing, schemata: [("acme", 50), ("acme", 101)])
                == [unknown, ["acme", "is there", "costs", nil]])
    }

    /// The old one has the column that the new one lacks.
    @Test func findsATableThatIsShownTwice() async throws {
        let both = Self.agreeing + Self.agreeing.filter { $0.1 != "n" }

        #expect(
            try await findings(both, tables: Self.shown + [("costs", "BASE TABLE", 99)])
                == [unknown, ["acme", "is there", nil, "costs"]])
    }

    @Test func findsAViewWithTheSameColumns() async throws {
        #expect(
            try await findings(Self.agreeing, tables: [("costs", "VIEW", 100)])
                == [unknown, ["acme", "is there", nil, "costs"]])
        #expect(try await findings(Self.agreeing, tables: [("costs", "CLONE", 100)]) == [unknown])
    }

    @Test func findsATableThatIsAbsent() async throws {
        let other: [Column] = [("other", "id", "STRING", "YES", "NO", nil)]

        #expect(try await findings(other) == [unknown, ["acme", "is there", "costs", nil]])
        #expect(
            try await findings(other, schemata: [("b", 100)]) == [unknown, ["acme", "is not there", "costs", nil]])
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
        let absent: [[String?]] = [unknown, ["acme", "is there", "costs", nil]]
        #expect(try await findings(Self.agreeing, tables: [("other", "VIEW", 100)], known: seen) == absent)
    }
}
