import BigQueryWarehouse
import GoogleCredentials
import HTTPTransport
import JobRuntime
import TestSupport
import Testing
import Warehouse

/// A complete reply says nothing without a schema, and a 409 says that the job is there: the job itself is read.
@Suite struct MissingResultTests {
    private static let statistics = ScriptedReply.json(#"{"statistics": {"query": {"totalBytesBilled": "10485760"}}}"#)

    private static func page(_ values: [Int], token: String? = nil) -> ScriptedReply {
        let rows = values.map { #"{"f": [{"v": "\#($0)"}]}"# }.joined(separator: ",")
        let next = token.map { #", "pageToken": "\#($0)""# } ?? ""
        return .json(
            #"{"jobComplete": true, "jobReference": {"jobId": "job_1", "location": "EU"}, "schema": {"fields": [{"name": "n", "type": "INTEGER"}]}, "rows": [\#(rows)]\#(next)}"#
        )
    }

    private static let silent = ScriptedReply.json(
        #"{"jobComplete": true, "jobReference": {"jobId": "job_1", "location": "EU"}}"#)

    private static func job(_ state: String, _ more: String = "") -> ScriptedReply {
        .json(
            #"{"status": {"state": "\#(state)"\#(more)}, "statistics": {"query": {"numDmlAffectedRows": "3", "totalBytesBilled": "10485760"}}}"#
        )
    }

    private func query(_ sql: String, of fixture: BigQueryFixture) async -> WarehouseError? {
        await fixture.failure { _ = try await $0.query(Statement("do it", sql)) }
    }

    @Test(arguments: ["DONE", "RUNNING"])
    func readsTheResultsOfAJobWhereTheReplyHasNone(_ state: String) async throws {
        let fixture = try BigQueryFixture([Self.silent, Self.job(state), Self.page([1, 2]), Self.statistics])

        let result = try await fixture.query()

        #expect(try result.rows.map { try $0.int64("n") } == [1, 2])
        #expect(
            fixture.server.requests.map(\.path) == [
                "\(BigQueryFixture.path)/queries", "\(BigQueryFixture.path)/jobs/job_1",
                "\(BigQueryFixture.path)/queries/job_1", "\(BigQueryFixture.path)/jobs/job_1",
            ])
    }

    @Test func missingRowsAreNoEmptyResult() async throws {
        let fixture = try BigQueryFixture([Self.silent, Self.job("DONE"), Self.silent, Self.job("DONE")])

        let error = await query("SELECT 1", of: fixture)

        #expect(error?.code == .unexpectedResult)
        #expect(error?.certainty == .done)
        #expect(fixture.server.requests.count == 4)
    }

    @Test func aLostReplyAboutASuccessfulJobLeavesItDone() async throws {
        let fixture = try BigQueryFixture([Self.silent, Self.job("DONE"), .refusal(400, "invalid")])

        let error = await query("SELECT 1", of: fixture)

        #expect(error?.certainty == .done)
        #expect(fixture.server.requests.filter { $0.method == "POST" }.count == 1)
    }

    @Test(arguments: [
        "CREATE TABLE d.t (x INT64);",
        "BEGIN TRANSACTION; UPDATE d.t SET x = 1 WHERE true; COMMIT TRANSACTION; SELECT 1",
    ])
    func theStatusOfTheJobIsTheOutcomeOfAScript(_ sql: String) async throws {
        let refusal = #", "errorResult": {"reason": "invalidQuery", "message": "Query error: no at [7:1]"}"#
        let fixture = try BigQueryFixture([Self.silent, Self.job("DONE", refusal)])

        let error = await query(sql, of: fixture)

        #expect(error?.description == "could not do it: Query error: no at [7:1] (invalid)")
        #expect(error?.certainty == .notDone)
    }

    @Test func aScriptWithoutRowsIsDoneWhereItsJobIs() async throws {
        let fixture = try BigQueryFixture([Self.silent, Self.job("DONE")])

        let result = try await fixture.query("UPDATE d.t SET x = 1 WHERE true;\n")

        #expect(result.rows.isEmpty)
        #expect(result.affectedRows == 3)
        #expect(result.bytesBilled == 10_485_760)
        #expect(fixture.server.requests.count == 2)
    }

    @Test func waitsForAScriptThatStillRuns() async throws {
        let fixture = try BigQueryFixture([Self.silent, Self.job("RUNNING"), Self.silent, Self.job("DONE")])

        #expect(await query("CREATE TABLE d.t (x INT64)", of: fixture) == nil)
        #expect(fixture.server.requests[2].path == "\(BigQueryFixture.path)/queries/job_1")
    }

    @Test func aJobThatDoesNotEndIsNoSuccess() async throws {
        let fixture = try BigQueryFixture { request in
            if request.path.hasSuffix("/cancel") { return .json("{}") }
            return request.path.hasSuffix("/jobs/job_1") ? Self.job("RUNNING") : Self.silent
        }

        let error = await query("CREATE TABLE d.t (x INT64)", of: fixture)

        #expect(error?.code == .unexpectedResult)
        #expect(error?.certainty == .unknown)
        #expect(fixture.server.requests.last?.path.hasSuffix("/cancel") == true)
    }

    @Test func sendsTheSameRequestAgainWhereItsJobExists() async throws {
        let exists = ScriptedReply.refusal(409, "duplicate", "Already Exists: Job p:EU.job_1")
        let fixture = try BigQueryFixture([exists, Self.page([1])])

        #expect(try await fixture.query().rows.count == 1)
        let requests = fixture.server.requests
        #expect(requests[0].jsonBody["requestId"] == requests[1].jsonBody["requestId"])
    }

    @Test func readsTheJobThatTheMessageNames() async throws {
        let exists = ScriptedReply.refusal(409, "duplicate", "Already Exists: Job example.com:p:EU.job_1")
        let fixture = try BigQueryFixture([exists, exists, exists, Self.page([1]), Self.statistics])

        #expect(try await fixture.query().rows.count == 1)
        let request = fixture.server.requests[3]
        #expect(request.path == "\(BigQueryFixture.path)/queries/job_1")
        #expect(request.query["location"] == "EU")
    }
}
