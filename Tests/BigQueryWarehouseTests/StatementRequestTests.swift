import Foundation
import HTTPTransport
import JobRuntime
import TestSupport
import Testing

@testable import BigQueryWarehouse
@testable import GoogleCredentials
@testable import Warehouse

/// What goes over the wire for a statement.
@Suite struct QueryRequestTests {
    @Test func sendsEverythingThatGuardsAQuery() async throws {
        let fixture = try BigQueryFixture(
            [.number()],
            BigQueryFixture.Options(
                labels: ["job": "org-sync-all", "execution": "org-sync-all-x1"], maximumBytesBilled: 10_485_760,
                location: "europe-west1"))

        _ = try await fixture.query("SELECT @n", ["n": .int64(5)])

        let request = try #require(fixture.server.requests.first)
        #expect(request.method == "POST")
        #expect(request.target == "\(BigQueryFixture.path)/queries")
        var body = try #require(request.jsonBody.object)
        let id = try #require(body.removeValue(forKey: "requestId")?.string)
        #expect(UUID(uuidString: id) != nil)
        #expect(
            JSONValue.object(JSONObject(body))
                == (try .text(
                    """
                    {"query": "SELECT @n", "useLegacySql": false, "location": "europe-west1", "timeoutMs": 10000,
                     "formatOptions": {"useInt64Timestamp": true}, "parameterMode": "NAMED",
                     "queryParameters": [
                       {"name": "n", "parameterType": {"type": "INT64"}, "parameterValue": {"value": "5"}}],
                     "labels": {"job": "org-sync-all", "execution": "org-sync-all-x1"},
                     "maximumBytesBilled": "10485760"}
                    """)))
    }

    @Test func leavesOutWhatIsNotSet() async throws {
        let fixture = try BigQueryFixture([.number()])

        _ = try await fixture.query()

        let body = try #require(fixture.server.requests.first?.jsonBody.object)
        #expect(
            Set(body.keys) == ["query", "useLegacySql", "location", "timeoutMs", "formatOptions", "requestId"])
    }

    @Test func endsJobsWithTheTimeThatTheRunHas() async throws {
        let fixture = try BigQueryFixture([.number(), .number()], .init(jobTimeout: .seconds(600)))

        _ = try await fixture.query()
        try await fixture.clock.time.sleep(.seconds(200))
        _ = try await fixture.query()
        try await fixture.clock.time.sleep(.seconds(500))
        _ = try? await fixture.query()

        let timeouts = fixture.server.requests.map { $0.jsonBody["jobTimeoutMs"]?.string }
        #expect(timeouts.prefix(3) == ["600000", "400000", "10000"])
    }

    @Test func givesEachStatementAnIdOfItsOwn() async throws {
        let fixture = try BigQueryFixture([.number(), .number()])

        _ = try await fixture.query()
        _ = try await fixture.query()

        #expect(Set(fixture.server.requests.map { $0.jsonBody["requestId"] }).count == 2)
    }

    @Test func compressesALongStatement() async throws {
        let fixture = try BigQueryFixture([.number()])
        let slugs = (0..<1000).map { "organization_\($0)" }

        _ = try await fixture.query("SELECT @slugs", ["slugs": .strings(slugs)])

        let request = try #require(fixture.server.requests.first)
        #expect(request.headers["Content-Encoding"] == "gzip")
        #expect(
            request.jsonBody["queryParameters"]?[0]?["parameterValue"]?["arrayValues"]?.array?.count == 1000)
    }

    @Test(arguments: [
        (SQLValue.string("a\"b\n"), #"{"type": "STRING"}"#, #"{"value": "a\"b\n"}"#),
        (.string(""), #"{"type": "STRING"}"#, #"{"value": ""}"#),
        (.null(.date), #"{"type": "DATE"}"#, "{}"),
        (.bytes(Data([0, 255])), #"{"type": "BYTES"}"#, #"{"value": "AP8="}"#),
        (.int64(.min), #"{"type": "INT64"}"#, #"{"value": "-9223372036854775808"}"#),
        (.float64(0.1), #"{"type": "FLOAT64"}"#, #"{"value": "0.1"}"#),
        (.float64(.nan), #"{"type": "FLOAT64"}"#, #"{"value": "NaN"}"#),
        (.float64(-.infinity), #"{"type": "FLOAT64"}"#, #"{"value": "-Infinity"}"#),
        (.numeric("1.000000001"), #"{"type": "NUMERIC"}"#, #"{"value": "1.000000001"}"#),
        (.bool(true), #"{"type": "BOOL"}"#, #"{"value": "true"}"#),
        (
            .timestamp(Timestamp("2026-01-31T00:05:00.000001Z")!), #"{"type": "TIMESTAMP"}"#,
            #"{"value": "2026-01-31 00:05:00.000001+00:00"}"#
        ),
        (.date(CivilDate("2024-02-29")!), #"{"type": "DATE"}"#, #"{"value": "2024-02-29"}"#),
        (.json(#"{"a": 1}"#), #"{"type": "JSON"}"#, #"{"value": "{\"a\": 1}"}"#),
        (
            .array(of: .string, []), #"{"type": "ARRAY", "arrayType": {"type": "STRING"}}"#, #"{"arrayValues": []}"#
        ),
        (
            .array(of: .structure([SQLType.Field("a", .int64)]), [.structure([SQLValue.Field("a", .int64(1))])]),
            #"{"type": "ARRAY", "arrayType": {"type": "STRUCT", "structTypes": [{"name": "a", "type": {"type": "INT64"}}]}}"#,
            #"{"arrayValues": [{"structValues": {"a": {"value": "1"}}}]}"#
        ),
    ])
    func sendsParameters(_ value: SQLValue, _ type: String, _ text: String) async throws {
        let fixture = try BigQueryFixture([.number()])

        _ = try await fixture.query("SELECT @p", ["p": value])

        let parameter = try #require(fixture.server.requests.first?.jsonBody["queryParameters"]?[0])
        #expect(parameter["name"] == .string("p"))
        #expect(parameter["parameterType"] == (try .text(type)))
        #expect(parameter["parameterValue"] == (try .text(text)))
    }
}

@Suite struct MergeRequestTests {
    private static let merge = MergeStatement(
        "merge counters", into: TableReference(DatasetID("d")!, "counters")!,
        from: "SELECT 'a' AS id, 1 AS n, 2 AS mark",
        keys: ["id"], scope: "t.day = @day", compared: ["n"], stamped: ["mark"], inserted: ["id", "n"],
        parameters: [SQLValue.Field("day", .int64(1))])

    @Test func isOneStatement() {
        #expect(
            BigQueryWarehouse.sql(of: Self.merge) == """
                MERGE `d.counters` AS t
                USING (SELECT 'a' AS id, 1 AS n, 2 AS mark) AS s
                ON t.`id` = s.`id` AND t.day = @day
                WHEN MATCHED AND (t.`n` IS DISTINCT FROM s.`n`) THEN UPDATE SET `n` = s.`n`, `mark` = s.`mark`
                WHEN NOT MATCHED THEN INSERT (`id`, `n`) VALUES (s.`id`, s.`n`)
                """)
    }

    @Test func readsWhatWasDoneFromTheReply() async throws {
        let fixture = try BigQueryFixture([
            .json(
                """
                {"jobComplete": true, "jobReference": {"jobId": "job_1"}, "numDmlAffectedRows": "5",
                 "totalBytesBilled": "10485760", "dmlStats": {"insertedRowCount": "2", "updatedRowCount": "3"}}
                """)
        ])

        let result = try await fixture.warehouse.merge(Self.merge)

        #expect(result == MergeResult(inserted: 2, updated: 3, bytesBilled: 10_485_760))
        #expect(fixture.server.requests.count == 1)
    }

    /// `jobs.getQueryResults` tells the total only.
    @Test func asksTheJobThatTookItsTime() async throws {
        let fixture = try BigQueryFixture([
            .json(#"{"jobComplete": false, "jobReference": {"jobId": "job_1", "location": "EU"}}"#),
            .json(#"{"jobComplete": true, "numDmlAffectedRows": "4"}"#),
            .json(
                #"{"statistics": {"query": {"dmlStats": {"insertedRowCount": "4"}, "totalBytesBilled": "10485760"}}}"#),
        ])

        let result = try await fixture.warehouse.merge(Self.merge)

        #expect(result == MergeResult(inserted: 4, updated: 0, bytesBilled: 10_485_760))
        let last = try #require(fixture.server.requests.last)
        #expect(last.path == "\(BigQueryFixture.path)/jobs/job_1")
        #expect(last.query == ["location": "EU", "fields": "statistics(query(dmlStats,totalBytesBilled))"])
    }

    @Test func failsWhereNobodyKnowsWhatWasDone() async throws {
        let fixture = try BigQueryFixture([
            .json(#"{"jobComplete": true, "numDmlAffectedRows": "4", "jobReference": {"jobId": "job_1"}}"#),
            .json(#"{"statistics": {}}"#),
        ])

        let error = await fixture.failure { _ = try await $0.merge(Self.merge) }

        #expect(error?.code == .unexpectedResult)
        #expect(error?.certainty == .done)
        #expect(error?.operation == "merge counters")
    }

    @Test func losingAgainstOtherChangesIsTriedAsANewJob() async throws {
        let fixture = try BigQueryFixture([
            .refusal(400, "invalidQuery", "Could not serialize access to table p:d.counters due to concurrent update"),
            .json(#"{"jobComplete": true, "numDmlAffectedRows": "0", "dmlStats": {}}"#),
        ])

        let result = try await fixture.warehouse.merge(Self.merge)

        #expect(result == MergeResult(inserted: 0, updated: 0))
        #expect(fixture.server.requests.count == 2)
    }
}
