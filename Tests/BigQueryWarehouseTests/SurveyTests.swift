import JobRuntime
import TestSupport
import Testing

@testable import BigQueryWarehouse
@testable import GoogleCredentials
@testable import Warehouse

/// How the bulk comparison asks, and how it finds another way where the region's views cannot be used.
@Suite struct SurveyTests {
    private static let tables = ["a", "b"].map { NamedTable($0, Table(fields: [FieldSchema("x", "STRING")])) }
    private static let known = TableReference(DatasetID("organizations")!, "org_profiles")!
    /// All of the catalog's tables.
    private static let complete = Dictionary(uniqueKeysWithValues: tables.map { ($0.name, $0.table) })

    private static func answer(_ datasets: [(Int, [String: Table]?)], isKnownShown: Bool? = true) -> SurveyAnswer {
        SurveyAnswer(
            datasets.map { .init("slug_\($0.0)", name: "org_\($0.0)", tables: $0.1) }, wanted: tables.map(\.name),
            isKnownShown: isKnownShown)
    }

    /// The answer to a request about datasets that have all tables.
    private static func complete(_ request: ScriptedRequest) -> ScriptedReply {
        SurveyAnswer(
            asked(request).map { .init("slug", name: $0, tables: complete) }, wanted: tables.map(\.name),
            isKnownShown: nil
        ).reply()
    }

    private static func list(_ datasets: [(String, String)]) -> ScriptedReply {
        let items = datasets.map {
            #"{"datasetReference": {"datasetId": "\#($0.0)"}, "location": "\#($0.1)"}"#
        }
        return .json(#"{"datasets": [\#(items.joined(separator: ","))]}"#)
    }

    private static func scope(
        _ count: Int, known: SurveyScope.Known = .table(known), at location: String = "US"
    ) -> SurveyScope {
        SurveyScope(.datasets(targets(0..<count)), location: location, known: known)
    }

    private static func targets(_ numbers: some Sequence<Int>) -> [SurveyTarget] {
        numbers.map { SurveyTarget(subject: "slug_\($0)", dataset: DatasetID("org_\($0)")!) }
    }

    /// The names of the datasets that are in a state.
    private static func names(_ survey: SchemaSurvey, _ isWanted: (SchemaSurvey.State) -> Bool) -> Set<String> {
        Set(survey.groups.filter { isWanted($0.state) }.flatMap(\.members).map(\.dataset.name))
    }

    private static func asked(_ request: ScriptedRequest) -> [String] {
        let parameters = request.jsonBody["queryParameters"]?.array ?? []
        let datasets = parameters.first { $0["name"]?.string == "datasets" }
        return datasets?["parameterValue"]?["arrayValues"]?.array?
            .compactMap { $0["structValues"]?["dataset"]?["value"]?.string } ?? []
    }

    @Test func asksTheRegionOnce() async throws {
        let answer = Self.answer([(0, [:]), (1, nil), (2, ["a": Self.tables[0].table]), (3, Self.complete)])
        let fixture = try BigQueryFixture([answer.reply()], BigQueryFixture.Options(location: "EU"))

        let survey = try await fixture.warehouse.survey(Self.scope(4, at: "EU"), for: Self.tables)

        #expect(Self.names(survey) { $0 == .noDataset } == ["org_1"])
        #expect(Self.names(survey) { $0 == .noTable("a") } == ["org_0"])
        #expect(Self.names(survey) { $0 == .noTable("b") } == ["org_0", "org_2"])
        #expect(survey.groups.count == 6)
        #expect(survey.bytesBilled == 10)
        let request = try #require(fixture.server.requests.first)
        #expect(fixture.server.requests.count == 1)
        #expect(Self.asked(request) == ["org_0", "org_1", "org_2", "org_3"])
        #expect(request.jsonBody["query"]?.string?.contains("`region-eu`.INFORMATION_SCHEMA.COLUMNS") == true)
    }

    @Test func asksInTheLocationOfTheDatasets() async throws {
        let fixture = try BigQueryFixture([Self.answer([(0, Self.complete)], isKnownShown: nil).reply()])

        _ = try await fixture.warehouse.survey(Self.scope(1, known: .targets, at: "europe-west3"), for: Self.tables)

        let body = fixture.server.requests[0].jsonBody
        #expect(body["location"]?.string == "europe-west3")
        #expect(body["query"]?.string?.contains("`region-europe-west3`.INFORMATION_SCHEMA") == true)
    }

    /// The names of the organizations stay in BigQuery.
    @Test func asksAboutTheRowsOfAQueryWithoutNamingThem() async throws {
        let fixture = try BigQueryFixture([Self.answer([(0, Self.complete)]).reply()])
        let rows = Statement("list", "SELECT s AS subject, d AS dataset FROM t", parameters: ["x": .string("y")])

        _ = try await fixture.warehouse.survey(
            SurveyScope(
                .rows(of: rows), location: "US", known: .table(Self.known), task: CloudRunTask(index: 2, count: 5)),
            for: Self.tables)

        let body = fixture.server.requests[0].jsonBody
        #expect(body["query"]?.string?.contains("FROM (SELECT s AS subject, d AS dataset FROM t)") == true)
        let names = body["queryParameters"]?.array?.compactMap { $0["name"]?.string } ?? []
        #expect(names == ["task_count", "task_index", "x", "unit", "record", "group", "known_dataset", "tables"])
        #expect(fixture.server.requests[0].body.count < 8_000)
    }

    @Test func asksForTheNamesThatTheSummaryLeftOut() async throws {
        var answer = Self.answer((0..<5).map { ($0, ["a": Self.tables[0].table]) })
        answer.mostMembers = 3
        let columns = ["table_name", "shape_key", "subject", "dataset"].map { (name: $0, type: "STRING") }
        let rows = (0..<5).map { number -> [SQLValue] in
            [.string("b"), .null(.string), .string("slug_\(number)"), .string("org_\(number)")]
        }
        let fixture = try BigQueryFixture([answer.reply(), SurveyAnswer.reply(columns, rows)])
        let scope = Self.scope(5)

        let survey = try await fixture.warehouse.survey(scope, for: Self.tables)
        let open = survey.groups.filter { $0.state == .noTable("b") }
        let members = try await fixture.warehouse.members(of: open, in: scope, for: Self.tables)

        #expect(open.map(\.count) == [5])
        #expect(open[0].members == Self.targets(0..<3))
        #expect(members[open[0].key] == Self.targets(0..<5))
        let parameters = fixture.server.requests[1].jsonBody["queryParameters"]?.array ?? []
        let keys = parameters.first { $0["name"]?.string == "keys" }?["parameterValue"]?["arrayValues"]?.array
        #expect(keys?.compactMap { $0["value"]?.string } == ["b:"])
    }

    @Test func asksNothingAboutNoDatasets() async throws {
        let fixture = try BigQueryFixture([])

        #expect(try await fixture.warehouse.survey(Self.scope(0), for: Self.tables).groups.isEmpty)
        #expect(fixture.server.requests.isEmpty)
    }

    @Test func asksTheDatasetItselfWhereNothingIsKnown() async throws {
        let fixture = try BigQueryFixture { Self.complete($0) }

        let survey = try await fixture.warehouse.survey(Self.scope(1, known: .nothing), for: Self.tables)

        #expect(survey.groups.count == 3)
        let sql = try #require(fixture.server.requests[0].jsonBody["query"]?.string)
        #expect(sql.contains("FROM `org_0`.INFORMATION_SCHEMA.COLUMNS") && !sql.contains("region-"))
    }

    @Test(arguments: [(404, "notFound"), (403, "accessDenied")])
    func findsOutThatADatasetIsMissing(_ status: Int, _ reason: String) async throws {
        let fixture = try BigQueryFixture { request in
            request.method == "GET" ? .refusal(404, "notFound") : .refusal(status, reason)
        }

        let survey = try await fixture.warehouse.survey(Self.scope(1, known: .nothing), for: Self.tables)

        #expect(survey.groups.map(\.state) == [.noDataset])
        #expect(fixture.server.requests.count == (status == 404 ? 1 : 2))
    }

    @Test(arguments: [nil, (403, "accessDenied"), (400, "resourcesExceeded")])
    func asksDatasetByDatasetWhereTheRegionIsOfNoUse(_ refusal: (status: Int, reason: String)?) async throws {
        let fixture = try BigQueryFixture { request in
            if request.path.hasSuffix("/datasets") { return Self.list((0..<449).map { ("org_\($0)", "US") }) }
            let isRegion = request.jsonBody["query"]?.string?.contains("region-us") == true
            guard isRegion else { return Self.complete(request) }
            return refusal.map { .refusal($0.status, $0.reason) } ?? Self.answer([], isKnownShown: false).reply()
        }

        let survey = try await fixture.warehouse.survey(Self.scope(450), for: Self.tables)

        let requests = fixture.server.requests
        #expect(requests.count == 5)
        #expect(requests[1].path == "\(BigQueryFixture.path)/datasets")
        #expect(requests[2...].map { Self.asked($0).count } == [200, 200, 49])
        #expect(requests[2...].allSatisfy { $0.jsonBody["query"]?.string?.contains("region-") == false })
        let sql = try #require(requests[2].jsonBody["query"]?.string)
        #expect(sql.contains("FROM `org_0`.INFORMATION_SCHEMA.TABLES UNION ALL"))
        #expect(Self.names(survey) { $0 == .noDataset } == ["org_449"])
        #expect(survey.groups.filter { $0.state == .dataset(DatasetDefaults()) }.map(\.count) == [449])
    }

    /// Rows of a query become names when the region's views cannot be used.
    @Test func listsTheRowsOfAQueryWhereTheRegionIsOfNoUse() async throws {
        let fixture = try BigQueryFixture { request in
            if request.path.hasSuffix("/datasets") { return Self.list([("org_0", "US")]) }
            let sql = request.jsonBody["query"]?.string ?? ""
            if sql.contains("region-us") { return .refusal(403, "accessDenied") }
            if sql.contains("`org_0`.INFORMATION_SCHEMA") { return Self.complete(request) }
            return SurveyAnswer.reply(
                [("subject", "STRING"), ("dataset", "STRING")],
                [[.string("slug_0"), .string("org_0")], [.string("slug_1"), .string("org_1")]])
        }

        let survey = try await fixture.warehouse.survey(
            SurveyScope(
                .rows(of: Statement("list", "SELECT 's' AS subject, 'd' AS dataset")), location: "US",
                known: .table(Self.known)), for: Self.tables)

        #expect(Self.names(survey) { $0 == .noDataset } == ["org_1"])
        #expect(Self.names(survey) { $0 != .noDataset } == ["org_0"])
    }

    @Test(arguments: [(403, "accessDenied"), (400, "resourcesExceeded")])
    func findsTheOneDatasetThatRefuses(_ status: Int, _ reason: String) async throws {
        let fixture = try BigQueryFixture { request in
            if request.path.hasSuffix("/datasets") { return Self.list((0..<8).map { ("org_\($0)", "US") }) }
            if request.path.hasSuffix("/org_5") {
                return .json(#"{"datasetReference": {"datasetId": "org_5"}, "location": "US"}"#)
            }
            let isRefused = request.index == 0 || Self.asked(request).contains("org_5")
            return isRefused ? .refusal(status, reason) : Self.complete(request)
        }

        let survey = try await fixture.warehouse.survey(Self.scope(8), for: Self.tables)

        #expect(Self.names(survey) { $0 == .unreadableTable("a") } == ["org_5"])
        #expect(Self.names(survey) { $0 == .unreadableTable("b") } == ["org_5"])
        #expect(survey.groups.filter { $0.state == .dataset(DatasetDefaults()) }.map(\.count) == [8])
        // The region, the list, 8, 4, 4, 2, 1, 1, 2 datasets, and whether the one is there.
        #expect(fixture.server.requests.count == 10)
    }

    @Test func doesNotShowADatasetElsewhere() async throws {
        let fixture = try BigQueryFixture { request in
            if request.path.hasSuffix("/datasets") { return Self.list([("org_0", "us"), ("org_1", "EU")]) }
            return request.index == 0 ? .refusal(403, "accessDenied") : Self.complete(request)
        }

        let survey = try await fixture.warehouse.survey(Self.scope(2), for: Self.tables)

        #expect(Self.names(survey) { $0 == .noDataset } == ["org_1"])
        #expect(Self.asked(fixture.server.requests[2]) == ["org_0"])
    }

    @Test func readsTheListOfDatasetsPageByPage() async throws {
        let first =
            #"{"datasets": [{"datasetReference": {"datasetId": "org_0"}, "location": "US"}], "nextPageToken": "p2"}"#
        let second =
            #"{"datasets": [{"datasetReference": {"datasetId": "not-ours"}}, {"datasetReference": {"datasetId": "org_1"}}]}"#
        let fixture = try BigQueryFixture { request in
            if request.method == "POST" {
                return request.index == 0 ? .refusal(403, "accessDenied") : Self.complete(request)
            }
            return .json(request.query["pageToken"] == nil ? first : second)
        }

        let survey = try await fixture.warehouse.survey(Self.scope(3), for: Self.tables)

        #expect(Self.names(survey) { $0 == .noDataset } == ["org_2"])
        #expect(fixture.server.requests[2].query["pageToken"] == "p2")
    }

    @Test func failsWhereTheQueryItselfIsWrong() async throws {
        let fixture = try BigQueryFixture([.refusal(400, "invalidQuery")])

        let error = await fixture.failure { _ = try await $0.survey(Self.scope(2), for: Self.tables) }

        #expect(error?.code == .invalid)
        #expect(error?.operation == "compare the datasets with the catalog")
    }

    /// Without its row, datasets that agree and an answer that was lost would look alike.
    @Test(arguments: [0, 2])
    func anAnswerWithoutTheKnownTableIsAnError(_ count: Int) async throws {
        let answer = Self.answer((0..<count).map { ($0, Self.complete) }, isKnownShown: nil)
        let fixture = try BigQueryFixture([answer.reply()])

        let error = await fixture.failure { _ = try await $0.survey(Self.scope(2), for: Self.tables) }

        #expect(error?.code == .unexpectedResult)
        #expect(error?.message.contains("organizations.org_profiles") == true)
    }

    @Test func anAnswerAboutAPartOfTheDatasetsIsAnError() async throws {
        let fixture = try BigQueryFixture([Self.answer([(0, Self.complete)], isKnownShown: nil).reply()])

        let error = await fixture.failure { _ = try await $0.survey(Self.scope(2, known: .nothing), for: Self.tables) }

        #expect(error?.code == .unexpectedResult)
    }

    @Test func aLimitOnBytesIsNoReasonToAskAgain() async throws {
        let fixture = try BigQueryFixture([
            .refusal(
                400, "bytesBilledLimitExceeded",
                "Query exceeded limit for bytes billed: 10485760. 31457280 or higher required.")
        ])

        let error = await fixture.failure { _ = try await $0.survey(Self.scope(2), for: Self.tables) }

        #expect(error?.endsRun == true)
        #expect(error?.description.contains("set MAX_BYTES_BILLED to 31457280 or more") == true)
        #expect(fixture.server.requests.count == 1)
    }

    /// BigQuery bills at least 10 MB for each of the four views of a dataset.
    @Test func asksForNoMoreDatasetsAtOnceThanMayBeBilled() async throws {
        let fixture = try BigQueryFixture(BigQueryFixture.Options(maximumBytesBilled: 3 * 41_943_040)) { request in
            request.path.hasSuffix("/datasets")
                ? Self.list((0..<7).map { ("org_\($0)", "US") })
                : request.index == 0 ? .refusal(403, "accessDenied") : Self.complete(request)
        }

        _ = try await fixture.warehouse.survey(Self.scope(7), for: Self.tables)

        #expect(fixture.server.requests.dropFirst(2).map { Self.asked($0).count } == [3, 3, 1])
    }
}
