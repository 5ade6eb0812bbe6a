import JobRuntime
import TestSupport
import Testing

@testable import BigQueryWarehouse
@testable import GoogleCredentials
@testable import Warehouse

/// How the bulk comparison finds another way where the region's view cannot be used.
@Suite struct SurveyTests {
    private static let tables = ["a", "b"].map { NamedTable($0, Table(fields: [FieldSchema("x", "STRING")])) }
    private static let known = TableReference(DatasetID("organizations")!, "org_profiles")!

    /// Rows as the comparison returns them: dataset, is_there, absent, differing.
    private static func rows(_ rows: [[String?]]) -> ScriptedReply {
        let texts = rows.map { row in
            #"{"f": [\#(row.map { #"{"v": \#($0.map { #""\#($0)""# } ?? "null")}"# }.joined(separator: ","))]}"#
        }
        return .json(
            """
            {"jobComplete": true, "totalBytesBilled": "10", "schema": {"fields": [
               {"name": "dataset", "type": "STRING"}, {"name": "is_there", "type": "BOOLEAN"},
               {"name": "absent", "type": "STRING"}, {"name": "differing", "type": "STRING"}]},
             "rows": [\(texts.joined(separator: ","))]}
            """)
    }

    private static func list(_ datasets: [(String, String)]) -> ScriptedReply {
        let items = datasets.map {
            #"{"datasetReference": {"datasetId": "\#($0.0)"}, "location": "\#($0.1)"}"#
        }
        return .json(#"{"datasets": [\#(items.joined(separator: ","))]}"#)
    }

    private static func ids(_ count: Int) -> [DatasetID] {
        (0..<count).map { DatasetID("org_\($0)")! }
    }

    private static func asked(_ request: ScriptedRequest) -> [String] {
        request.jsonBody["queryParameters"]?[0]?["parameterValue"]?["arrayValues"]?.array?
            .compactMap { $0["value"]?.string } ?? []
    }

    @Test func asksTheRegionOnce() async throws {
        let fixture = try BigQueryFixture(
            [
                Self.rows([
                    ["org_0", "true", "a,b", nil], ["org_1", "false", "a,b", nil], ["org_2", "true", nil, "b"],
                    ["", "true", nil, nil],
                ])
            ], BigQueryFixture.Options(location: "EU"))

        let survey = try await fixture.warehouse.survey(Self.ids(4), for: Self.tables, known: Self.known)

        #expect(
            survey.findings == [
                DatasetID("org_0")!: SchemaSurvey.Finding(datasetExists: true, absent: ["a", "b"], differing: []),
                DatasetID("org_1")!: SchemaSurvey.Finding(datasetExists: false, absent: ["a", "b"], differing: []),
                DatasetID("org_2")!: SchemaSurvey.Finding(datasetExists: true, absent: [], differing: ["b"]),
            ])
        #expect(survey.bytesBilled == 10)
        let request = try #require(fixture.server.requests.first)
        #expect(fixture.server.requests.count == 1)
        #expect(Self.asked(request) == ["org_0", "org_1", "org_2", "org_3"])
        #expect(request.jsonBody["query"]?.string?.contains("`region-eu`.INFORMATION_SCHEMA.COLUMNS") == true)
    }

    @Test func asksNothingAboutNoDatasets() async throws {
        let fixture = try BigQueryFixture([])

        #expect(try await fixture.warehouse.survey([], for: Self.tables, known: Self.known).findings.isEmpty)
        #expect(fixture.server.requests.isEmpty)
    }

    @Test func asksTheDatasetItselfWhereNothingIsKnown() async throws {
        let fixture = try BigQueryFixture([Self.rows([["", "false", nil, nil]])])

        let survey = try await fixture.warehouse.survey(Self.ids(1), for: Self.tables, known: nil)

        #expect(survey.findings.isEmpty)
        let sql = try #require(fixture.server.requests[0].jsonBody["query"]?.string)
        #expect(sql.contains("FROM `org_0`.INFORMATION_SCHEMA.COLUMNS") && !sql.contains("region-"))
    }

    @Test(arguments: [(404, "notFound"), (403, "accessDenied")])
    func findsOutThatADatasetIsMissing(_ status: Int, _ reason: String) async throws {
        let fixture = try BigQueryFixture { request in
            request.method == "GET" ? .refusal(404, "notFound") : .refusal(status, reason)
        }

        let survey = try await fixture.warehouse.survey(Self.ids(1), for: Self.tables, known: nil)

        #expect(
            survey.findings == [
                DatasetID("org_0")!: SchemaSurvey.Finding(datasetExists: false, absent: [], differing: [])
            ])
        #expect(fixture.server.requests.count == (status == 404 ? 1 : 2))
    }

    @Test(arguments: [nil, (403, "accessDenied"), (400, "resourcesExceeded")])
    func asksDatasetByDatasetWhereTheRegionIsOfNoUse(_ refusal: (status: Int, reason: String)?) async throws {
        let fixture = try BigQueryFixture { request in
            if request.path.hasSuffix("/datasets") { return Self.list((0..<449).map { ("org_\($0)", "US") }) }
            let isRegion = request.jsonBody["query"]?.string?.contains("region-us") == true
            guard isRegion else { return Self.rows([[Self.asked(request)[0], "true", nil, "a"]]) }
            return refusal.map { .refusal($0.status, $0.reason) } ?? Self.rows([["", "false", nil, nil]])
        }

        let survey = try await fixture.warehouse.survey(Self.ids(450), for: Self.tables, known: Self.known)

        let requests = fixture.server.requests
        #expect(requests.count == 5)
        #expect(requests[1].path == "\(BigQueryFixture.path)/datasets")
        #expect(requests[2...].map { Self.asked($0).count } == [200, 200, 49])
        #expect(requests[2...].allSatisfy { $0.jsonBody["query"]?.string?.contains("region-") == false })
        #expect(
            requests[2].jsonBody["query"]?.string?.contains("FROM `org_0`.INFORMATION_SCHEMA.TABLES UNION ALL") == true
        )
        #expect(Set(survey.findings.keys.map(\.name)) == ["org_0", "org_200", "org_400", "org_449"])
        #expect(survey.findings[DatasetID("org_449")!]?.datasetExists == false)
    }

    @Test(arguments: [(403, "accessDenied"), (400, "resourcesExceeded")])
    func findsTheOneDatasetThatRefuses(_ status: Int, _ reason: String) async throws {
        let fixture = try BigQueryFixture { request in
            if request.path.hasSuffix("/datasets") { return Self.list((0..<8).map { ("org_\($0)", "US") }) }
            if request.path.hasSuffix("/org_5") {
                return .json(#"{"datasetReference": {"datasetId": "org_5"}, "location": "US"}"#)
            }
            let asked = Self.asked(request)
            let isRefused = request.index == 0 || asked.contains("org_5")
            return isRefused ? .refusal(status, reason) : Self.rows([[asked[0], "true", "b", nil]])
        }

        let survey = try await fixture.warehouse.survey(Self.ids(8), for: Self.tables, known: Self.known)

        #expect(
            survey.findings[DatasetID("org_5")!]
                == SchemaSurvey.Finding(datasetExists: true, absent: [], differing: ["a", "b"]))
        #expect(Set(survey.findings.keys.map(\.name)) == ["org_0", "org_4", "org_5", "org_6"])
        // The region, the list, 8, 4, 4, 2, 1, 1, 2 datasets, and whether the one is there.
        #expect(fixture.server.requests.count == 10)
    }

    @Test func takesADatasetElsewhereForMissing() async throws {
        let fixture = try BigQueryFixture([
            .refusal(403, "accessDenied"), Self.list([("org_0", "us"), ("org_1", "EU")]), Self.rows([]),
        ])

        let survey = try await fixture.warehouse.survey(Self.ids(2), for: Self.tables, known: Self.known)

        #expect(survey.findings.keys.map(\.name) == ["org_1"])
        #expect(survey.findings[DatasetID("org_1")!]?.datasetExists == false)
        #expect(Self.asked(fixture.server.requests[2]) == ["org_0"])
    }

    @Test func readsTheListOfDatasetsPageByPage() async throws {
        let fixture = try BigQueryFixture([
            .refusal(403, "accessDenied"),
            .json(
                #"{"datasets": [{"datasetReference": {"datasetId": "org_0"}, "location": "US"}], "nextPageToken": "p2"}"#
            ),
            .json(
                #"{"datasets": [{"datasetReference": {"datasetId": "not-ours"}}, {"datasetReference": {"datasetId": "org_1"}}]}"#
            ),
            Self.rows([]),
        ])

        let survey = try await fixture.warehouse.survey(
            Self.ids(3) + Self.ids(3), for: Self.tables, known: Self.known)

        #expect(survey.findings.keys.map(\.name) == ["org_2"])
        #expect(fixture.server.requests[2].query["pageToken"] == "p2")
    }

    @Test func failsWhereTheQueryItselfIsWrong() async throws {
        let fixture = try BigQueryFixture([.refusal(400, "invalidQuery")])

        let error = await fixture.failure {
            _ = try await $0.survey(Self.ids(2), for: Self.tables, known: Self.known)
        }

        #expect(error?.code == .invalid)
        #expect(error?.operation == "compare 2 datasets with the catalog")
    }

    /// Without its row, datasets that agree and an answer that was lost would look alike.
    @Test(arguments: [[], [["org_0", "true", "a", nil]]] as [[[String?]]])
    func anAnswerWithoutTheKnownTableIsAnError(_ rows: [[String?]]) async throws {
        let fixture = try BigQueryFixture([Self.rows(rows)])

        let error = await fixture.failure {
            _ = try await $0.survey(Self.ids(2), for: Self.tables, known: Self.known)
        }

        #expect(error?.code == .unexpectedResult)
        #expect(error?.message.contains("organizations.org_profiles") == true)
    }

    @Test func aLimitOnBytesIsNoReasonToAskAgain() async throws {
        let fixture = try BigQueryFixture([
            .refusal(
                400, "bytesBilledLimitExceeded",
                "Query exceeded limit for bytes billed: 10485760. 31457280 or higher required.")
        ])

        let error = await fixture.failure {
            _ = try await $0.survey(Self.ids(2), for: Self.tables, known: Self.known)
        }

        #expect(error?.endsRun == true)
        #expect(error?.description.contains("set MAX_BYTES_BILLED to 31457280 or more") == true)
        #expect(fixture.server.requests.count == 1)
    }

    /// BigQuery bills at least 10 MB for each of the two views of a dataset.
    @Test func asksForNoMoreDatasetsAtOnceThanMayBeBilled() async throws {
        let fixture = try BigQueryFixture(BigQueryFixture.Options(maximumBytesBilled: 3 * 20_971_520)) { request in
            request.path.hasSuffix("/datasets")
                ? Self.list((0..<7).map { ("org_\($0)", "US") })
                : request.index == 0 ? .refusal(403, "accessDenied") : Self.rows([])
        }

        _ = try await fixture.warehouse.survey(Self.ids(7), for: Self.tables, known: Self.known)

        #expect(fixture.server.requests.dropFirst(2).map { Self.asked($0).count } == [3, 3, 1])
    }
}

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
