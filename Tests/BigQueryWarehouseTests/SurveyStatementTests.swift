import JobRuntime
import TestSupport
import Testing

@testable import BigQueryWarehouse
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

    /// The states of the dataset `acme` and of its table `costs`, in words.
    private func states(
        _ columns: [Column], tables: [Shown] = shown, schemata: [(String, Int)] = [("acme", 100)],
        known: TableReference? = nil
    ) async throws -> [String] {
        let bigQuery = try await EmulatedBigQuery(project: "survey-tests")
        let rows = columns.enumerated().map { index, row in
            let (table, column, type, nullable, partitioning, clustering) = row
            // As many columns as a table has here.
            return "SELECT 'acme' AS table_schema, '\(table)' AS table_name, '\(column)' AS column_name, "
                + "\(index % columns.filter { $0.0 == table }.count) AS ordinal_position, '\(type)' AS data_type, "
                + "'\(nullable)' AS is_nullable, '\(partitioning)' AS is_partitioning_column, "
                + "CAST(\(clustering.map(String.init) ?? "NULL") AS INT64) AS clustering_ordinal_position, "
                + "CAST(NULL AS STRING) AS column_default"
        }
        let names = schemata.map { "SELECT '\($0.0)' AS schema_name, TIMESTAMP_SECONDS(\($0.1)) AS creation_time" }
        let shown = tables.map {
            "SELECT 'acme' AS table_schema, '\($0.0)' AS table_name, '\($0.1)' AS table_type, "
                + "TIMESTAMP_SECONDS(\($0.2)) AS creation_time, CAST(NULL AS STRING) AS ddl, "
                + "CAST(NULL AS STRING) AS default_collation_name"
        }
        let target = SurveyTarget(subject: "acme", dataset: DatasetID("acme")!)
        let scope = SurveyScope(.datasets([target]), location: "US", known: known.map { .table($0) } ?? .nothing)
        let survey = SurveyStatement(
            source: .region("region-us"), scope: scope, tables: [NamedTable("costs", Self.wanted)])
        var statement = survey.summary
        let select = try #require(statement.sql.firstRange(of: "\nSELECT\n  table_name, shape"))
        statement.sql =
            SurveyStatement.sql(
                scope,
                views: SurveyStatement.Views(
                    schemata: "(\(names.joined(separator: " UNION ALL ")))",
                    schemataOptions: "(SELECT '' AS schema_name, '' AS option_name, '' AS option_value)",
                    tables: "(\(shown.joined(separator: " UNION ALL ")))",
                    tableOptions:
                        "(SELECT '' AS table_schema, '' AS table_name, '' AS option_name, '' AS option_value)",
                    columns: "(\(rows.joined(separator: " UNION ALL ")))",
                    columnFieldPaths: "(SELECT '' AS table_schema, '' AS table_name, '' AS column_name, "
                        + "'' AS field_path, '' AS description, '' AS collation_name, '' AS rounding_mode, "
                        + "['x'] AS policy_tags)"))
            + statement.sql[select.lowerBound...]
        return try await bigQuery.warehouse.query(statement).rows.map { row in
            let table = try row.string("table_name")
            guard let shape = try row.optionalString("shape") else { return "\(table): not shown" }
            if try row.string("members").hasPrefix("=") { return "known: shown" }
            if table.isEmpty { return ": shown" }
            guard let actual = SurveyedTable.table(shape) else { return "\(table): unreadable" }
            let diff = SchemaDiff(expected: Self.wanted, actual: actual)
            return "\(table): \(diff.additions.count) missing, \(diff.conflicts.count) in conflict"
        }
    }

    private static let agrees = [": shown", "costs: 0 missing, 0 in conflict"]

    @Test func showsWhatAgrees() async throws {
        #expect(try await states(Self.agreeing) == Self.agrees)
    }

    @Test func doesNotShowADeletedDatasetThatTheViewsStillHave() async throws {
        #expect(try await states(Self.agreeing, schemata: [("other", 100)]) == [": not shown"])
    }

    @Test func doesNotShowATableOfADeletedDatasetOfThatName() async throws {
        #expect(
            try await states(Self.agreeing, tables: [("costs", "BASE TABLE", 99)]) == [": shown", "costs: not shown"])
        #expect(
            try await states(Self.agreeing, schemata: [("acme", 50), ("acme", 101)]) == [": shown", "costs: not shown"])
    }

    /// The old one has the column that the new one lacks.
    @Test func aTableWhoseColumnsAreMixedIsUnreadable() async throws {
        let both = Self.agreeing + Self.agreeing.filter { $0.1 != "n" }

        #expect(
            try await states(both, tables: Self.shown + [("costs", "BASE TABLE", 99)])
                == [": shown", "costs: unreadable"])
    }

    @Test func aViewWithTheSameColumnsIsNoTable() async throws {
        #expect(
            try await states(Self.agreeing, tables: [("costs", "VIEW", 100)])
                == [": shown", "costs: 0 missing, 1 in conflict"])
        #expect(try await states(Self.agreeing, tables: [("costs", "CLONE", 100)]) == Self.agrees)
    }

    @Test func doesNotShowATableThatIsAbsent() async throws {
        let other: [Column] = [("other", "id", "STRING", "YES", "NO", nil)]

        #expect(
            try await states(other, tables: [("other", "BASE TABLE", 100)]) == [": shown", "costs: not shown"])
    }

    @Test(arguments: [
        // The clustering lacks the column, too.
        (0, "1 missing, 1 in conflict"), (1, "0 missing, 1 in conflict"), (2, "0 missing, 1 in conflict"),
        (3, "0 missing, 1 in conflict"), (4, "0 missing, 1 in conflict"), (5, "0 missing, 1 in conflict"),
        (6, "unreadable"),
    ])
    func showsEveryDifferenceOfAColumn(_ number: Int, _ state: String) async throws {
        var columns = Self.agreeing
        switch number {
        case 0: columns.remove(at: 1)
        case 1: columns[1].2 = "FLOAT64"
        case 2: columns[1].3 = "NO"
        case 3: columns[0].5 = nil
        case 4: (columns[0].5, columns[1].5) = (1, 2)
        case 5: columns[2].2 = "DATE"
        // A partitioning column without the clause of the DDL that says how.
        default: columns[1].4 = "YES"
        }

        #expect(try await states(columns) == [": shown", "costs: \(state)"])
    }

    @Test func leavesOutWhatTheCatalogDoesNotHave() async throws {
        var columns = Self.agreeing
        columns[0].3 = "YES"
        columns.insert(("costs", "own", "JSON", "YES", "NO", nil), at: 0)
        columns.append(("own_table", "x", "JSON", "YES", "YES", 1))

        #expect(try await states(columns) == Self.agrees)
    }

    @Test func saysWhetherTheKnownTableIsShown() async throws {
        let seen = TableReference(DatasetID("acme")!, "costs")
        let unseen = TableReference(DatasetID("organizations")!, "org_profiles")

        #expect(try await states(Self.agreeing, known: seen).contains("known: shown"))
        #expect(try await states(Self.agreeing, known: unseen).contains("org_profiles: not shown"))
    }
}

/// The text of a shape, and the table that is read from it.
@Suite struct SurveyedTableTests {
    @Test(arguments: 0..<40 as Range<UInt64>)
    func readsWhatTheStatementShows(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        for _ in 0..<25 {
            let table = RandomTable.table(&random)

            let read = try #require(SurveyedTable.table(SurveyAnswer.shape(of: table)))

            let diff = SchemaDiff(expected: table, actual: read)
            #expect(diff.additions.isEmpty && diff.differences.isEmpty, "\(table)")
            #expect(SchemaDiff(expected: read, actual: table).differences.isEmpty)
        }
    }

    private static let group = "\u{1D}"

    private static func shape(
        type: String, partitioned: String = "NO", options: String = "", clause: String = "", ddl: String = ""
    )
        -> String
    {
        let column = ["a", type, "YES", partitioned, "", ""].joined(separator: "\u{1F}")
        return ["BASE TABLE", column, "", options, clause, "", ddl].joined(separator: group)
    }

    @Test(arguments: [
        "", "BASE TABLE", shape(type: "STRUCT<b STRING", ddl: "a STRUCT<b STRING>"),
        shape(type: "STRUCT<b STRING>"), shape(type: "STRUCT<b STRING>", ddl: "a STRUCT<c STRING>"),
        shape(type: "DATE", partitioned: "YES"), shape(type: "DATE", clause: "\nPARTITION BY a"),
        shape(type: "DATE", partitioned: "YES", clause: "\nPARTITION BY f(a, b, c, d)"),
        shape(type: "STRING", options: "description\u{1F}\"open"), shape(type: "STRING", options: "labels"),
        shape(
            type: "DATE", partitioned: "YES", options: "partition_expiration_days\u{1F}1e300",
            clause: "\nPARTITION BY a"),
        shape(
            type: "DATE", partitioned: "YES", options: "partition_expiration_days\u{1F}nan", clause: "\nPARTITION BY a"),
        shape(type: String(repeating: "ARRAY<", count: 100_000)),
    ])
    func aTextInAnotherFormIsNotRead(_ shape: String) {
        #expect(SurveyedTable.table(shape) == nil)
    }

    /// Swift takes a quote with a combining mark behind it for one character, which is no quote.
    @Test func aDescriptionThatBeginsWithACombiningMarkEndsWithItsQuote() throws {
        let ddl = "a STRUCT<b STRING OPTIONS(description=\"\u{324}), c INT64\") NOT NULL>"

        let table = try #require(SurveyedTable.table(Self.shape(type: "STRUCT<b STRING>", ddl: ddl)))

        #expect(table.schema.fields[0].fields == [FieldSchema("b", "STRING", mode: .required)])
    }

    @Test func readsLiterals() {
        #expect(SQLLiteral.string(#""a \"b\" \\ \n \x41 \u00e4""#) == "a \"b\" \\ \n A ä")
        #expect(SQLLiteral.string(#"'''a'b'''"#) == "a'b")
        #expect(SQLLiteral.string("'a' || 'b'") == nil)
        #expect(SQLLiteral.string(#""\x+1""#) == nil)
        #expect(SQLLiteral.string("\"\u{324}x\"") == "\u{324}x")
        #expect(SQLLiteral.strings(in: #"[STRUCT("a,\"b", "c"), STRUCT('d', "e")]"#) == [#"a,"b"#, "c", "d", "e"])
    }
}

/// Random tables with names, types and options that collide often.
private enum RandomTable {
    static func table(_ random: inout SplitMix64) -> Table {
        var fields = [FieldSchema("day", "DATE"), FieldSchema("at", "TIMESTAMP"), FieldSchema("n", "INTEGER")]
        fields += (0..<Int.random(in: 1...4, using: &random)).map { field("f\($0)", depth: 2, &random) }
        var table = Table(fields: fields)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: table.timePartitioning = Table.TimePartitioning(type: "DAY", field: "day", expirationMs: "5400000")
        case 1: table.timePartitioning = Table.TimePartitioning(type: "HOUR", field: "at")
        case 2: table.timePartitioning = Table.TimePartitioning(type: "MONTH", field: nil)
        case 3: table.rangePartitioning = Table.RangePartitioning(field: "n", start: -5, end: 50, interval: 5)
        default: break
        }
        if Bool.random(using: &random) { table.clustering = Table.Clustering(fields: ["n", "at"]) }
        table.requirePartitionFilter = Bool.random(using: &random) ? true : nil
        if Bool.random(using: &random) { table.description = text(&random) }
        if Bool.random(using: &random) { table.labels = ["a": "b", "c": ""] }
        return table
    }

    private static func field(_ name: String, depth: Int, _ random: inout SplitMix64) -> FieldSchema {
        let modes: [FieldSchema.Mode] = [.nullable, .required, .repeated]
        let isRecord = depth > 0 && Bool.random(using: &random)
        var field = FieldSchema(
            name, isRecord ? "RECORD" : ["STRING", "NUMERIC", "FLOAT", "JSON"].randomElement(using: &random)!,
            mode: modes.randomElement(using: &random)!,
            description: Bool.random(using: &random) ? text(&random) : nil)
        if isRecord {
            field.fields = (0..<Int.random(in: 1...3, using: &random)).map {
                self.field("g\($0)", depth: depth - 1, &random)
            }
        } else if field.type == "NUMERIC", Bool.random(using: &random) {
            let scale = Int.random(in: 0...2, using: &random)
            field.attributes = ["precision": .string("10"), "scale": .string("\(scale)")]
        } else if field.type == "STRING", Bool.random(using: &random) {
            field.attributes = [
                "maxLength": .string("20"), "policyTags": .object(["names": .array([.string("p/t/1")])]),
            ]
        }
        return field
    }

    private static func text(_ random: inout SplitMix64) -> String {
        ["plain", "NOT NULL, (\"x\")", "two\nlines", "back\\slash > <", "PARTITION BY x"].randomElement(using: &random)!
    }
}
