import BigQueryWarehouse
import GoogleCredentials
import JobRuntime
import TestSupport
import Testing
import Warehouse

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
