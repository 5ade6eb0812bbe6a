import BigQueryWarehouse
import GoogleCredentials
import HTTPTransport
import JobRuntime
import TestSupport
import Testing
import Warehouse

/// Jobs that take their time, results of several pages, and errors that come late.
@Suite struct JobProgressTests {
    private static let running = ScriptedReply.json(
        #"{"jobComplete": false, "jobReference": {"jobId": "job_1", "location": "EU", "projectId": "p"}}"#)

    private static let statistics = ScriptedReply.json(#"{"statistics": {"query": {"totalBytesBilled": "10485760"}}}"#)

    private static func page(_ values: [Int], token: String? = nil) -> ScriptedReply {
        let rows = values.map { #"{"f": [{"v": "\#($0)"}]}"# }.joined(separator: ",")
        let next = token.map { #", "pageToken": "\#($0)""# } ?? ""
        return .json(
            #"{"jobComplete": true, "jobReference": {"jobId": "job_1", "location": "EU"}, "schema": {"fields": [{"name": "n", "type": "INTEGER"}]}, "rows": [\#(rows)]\#(next)}"#
        )
    }

    @Test func waitsForAJobToEnd() async throws {
        let fixture = try BigQueryFixture([
            Self.running, .json(#"{"jobComplete": false}"#),
            .json(
                #"{"jobComplete": true, "numDmlAffectedRows": "9007199254740993", "jobReference": {"jobId": "job_1"}}"#),
            Self.statistics,
        ])

        let result = try await fixture.query()

        #expect(result.affectedRows == 9_007_199_254_740_993)
        #expect(result.bytesBilled == 10_485_760)
        let requests = fixture.server.requests
        #expect(requests.map(\.method) == ["POST", "GET", "GET", "GET"])
        #expect(requests[1].path == "\(BigQueryFixture.path)/queries/job_1")
        #expect(
            requests[1].query == [
                "location": "EU", "timeoutMs": "60000", "formatOptions.useInt64Timestamp": "true",
            ])
        #expect(requests[2].query["location"] == "EU")
    }

    @Test func startsANewJobWhenTheOneWaitedForFailedForNoFaultOfItsOwn() async throws {
        let refusals = Array(repeating: ScriptedReply.refusal(503, "backendError"), count: 3)
        let failed = ScriptedReply.json(#"{"status": {"errorResult": {"reason": "backendError", "message": "again"}}}"#)
        let fixture = try BigQueryFixture([Self.running] + refusals + [failed, Self.page([7])])

        let result = try await fixture.query()

        #expect(try result.rows.map { try $0.int64("n") } == [7])
        let requests = fixture.server.requests
        #expect(requests.map(\.method) == ["POST", "GET", "GET", "GET", "GET", "POST"])
        #expect(requests[4].path == "\(BigQueryFixture.path)/jobs/job_1")
        #expect(requests[0].jsonBody["requestId"] != requests[5].jsonBody["requestId"])
    }

    @Test func waitsOnForAJobThatGoesOnInSpiteOfRefusals() async throws {
        let refusals = Array(repeating: ScriptedReply.refusal(503, "backendError"), count: 3)
        let fixture = try BigQueryFixture(
            [Self.running] + refusals
                + [.json(#"{"status": {}}"#), Self.page([7]), Self.statistics])

        let result = try await fixture.query()

        #expect(try result.rows.map { try $0.int64("n") } == [7])
        #expect(fixture.server.requests.filter { $0.method == "POST" }.count == 1)
    }

    @Test func readsAllPages() async throws {
        let fixture = try BigQueryFixture([
            Self.page([1, 2], token: "a+b/="), Self.page([3], token: "c"), Self.page([4], token: ""),
        ])

        let result = try await fixture.query()

        #expect(try result.rows.map { try $0.int64("n") } == [1, 2, 3, 4])
        #expect(fixture.server.requests.map { $0.query["pageToken"] } == [nil, "a+b/=", "c"])
    }

    @Test func handsOverEachPageOnceAndKeepsNone() async throws {
        let fixture = try BigQueryFixture([
            Self.page([1, 2], token: "t"), .refusal(503, "backendError"), Self.page([3]),
        ])
        var statement = Statement("read numbers", "SELECT n")
        statement.rowsPerPage = 2
        var pages: [[Int64]] = []

        let result = try await fixture.warehouse.query(statement) { rows in
            pages.append(try rows.map { try $0.int64("n") })
        }

        #expect(pages == [[1, 2], [3]])
        #expect(result.rows.isEmpty)
        #expect(fixture.server.requests[0].jsonBody["maxResults"] == .integer(2))
        #expect(fixture.server.requests.dropFirst().map { $0.query["maxResults"] } == ["2", "2"])
    }

    /// The rows of a second job would come on top of the ones that were handed over.
    @Test func startsNoNewJobAfterAPageWasHandedOver() async throws {
        let fixture = try BigQueryFixture(
            [Self.page([1], token: "t")] + Array(repeating: .refusal(503, "backendError"), count: 3)
                + [.json(#"{"status": {"errorResult": {"reason": "backendError", "message": "again"}}}"#)])
        var pages = 0

        let error = await #expect(throws: WarehouseError.self) {
            try await fixture.warehouse.query(Statement("read numbers", "SELECT n")) { _ in pages += 1 }
        }

        #expect(error?.retry == .newJob)
        #expect(pages == 1)
        #expect(fixture.server.requests.filter { $0.method == "POST" }.count == 1)
        #expect(fixture.server.unexpected.isEmpty)
    }

    @Test func readsTheFirstPageOfAJobThatTookItsTime() async throws {
        let fixture = try BigQueryFixture([
            Self.running, Self.page([1], token: "t"), Self.statistics, Self.page([2]),
        ])

        #expect(try await fixture.query().rows.count == 2)
        #expect(fixture.server.requests.map { $0.query["pageToken"] } == [nil, nil, nil, "t"])
    }

    @Test func asksAgainForAJobThatIsNotYetFound() async throws {
        let fixture = try BigQueryFixture([
            Self.running, .refusal(404, "notFound", "Not found: Job p:job_1"),
            .refusal(404, "notFound", "Not found: Job p:job_1"), Self.page([1]),
            .refusal(404, "notFound", "Not found: Job p:job_1"), Self.statistics,
        ])

        #expect(try await fixture.query().rows.count == 1)
        #expect(fixture.clock.sleeps.count == 3)
    }

    @Test func failsForAJobThatIsNeverFound() async throws {
        let fixture = try BigQueryFixture { request in
            request.index == 0 ? Self.running : .refusal(404, "notFound", "Not found: Job p:job_1")
        }

        let error = await fixture.failure { _ = try await $0.query(Statement("read it", "SELECT 1")) }

        #expect(error?.code == .notFound)
        // The query, five times its results, and the cancellation of what may still be running.
        #expect(fixture.server.requests.count == 7)
    }

    @Test func aTableThatIsNotThereIsNoJobToWaitFor() async throws {
        let fixture = try BigQueryFixture { request in
            request.index == 0 ? Self.running : .refusal(404, "notFound", "Not found: Table p:d.t was not found")
        }

        let error = await fixture.failure { _ = try await $0.query(Statement("read it", "SELECT 1")) }

        #expect(error?.code == .notFound)
        #expect(fixture.clock.sleeps.isEmpty)
    }

    @Test func startsANewJobWhereTheFirstOneFailedLate() async throws {
        let fixture = try BigQueryFixture([
            Self.running, .refusal(400, "jobBackendError"), Self.running, Self.page([1]), Self.statistics,
        ])

        #expect(try await fixture.query().rows.count == 1)
        let requests = fixture.server.requests
        #expect(requests[0].jsonBody["requestId"] != requests[2].jsonBody["requestId"])
    }

    @Test func cancelsTheJobWhenItIsCancelledItself() async throws {
        let fixture = try BigQueryFixture { request in
            if request.path.hasSuffix("/cancel") { return .json("{}") }
            return request.method == "POST" ? Self.running : .delayed(.seconds(600), .json("{}"))
        }

        let query = Task { try await fixture.query() }
        while fixture.server.requests.count < 2 { await Task.yield() }
        query.cancel()
        let result = await query.result

        #expect(throws: CancellationError.self) { try result.get() }
        let last = try #require(fixture.server.requests.last)
        #expect(last.method == "POST")
        #expect(last.body.isEmpty)
        #expect(last.path == "\(BigQueryFixture.path)/jobs/job_1/cancel")
        #expect(last.query == ["location": "EU"])
    }

    @Test func cancelsTheJobThatItCanNoLongerFollow() async throws {
        let fixture = try BigQueryFixture { request in
            if request.path.hasSuffix("/queries") { return Self.running }
            return request.path.hasSuffix("/jobs/job_1") ? .json(#"{"status": {}}"#) : .refusal(503, "backendError")
        }

        let error = await fixture.failure { _ = try await $0.query(Statement("read it", "SELECT 1")) }

        #expect(error?.code == .backendError)
        #expect(error?.certainty == .unknown)
        #expect(fixture.server.requests.filter { $0.path.hasSuffix("/cancel") }.count == 1)
    }

    @Test(arguments: [
        ("not JSON", Certainty.unknown),
        (#"{"jobComplete": true, "schema": {}, "rows": [{"f": [{"v": "1"}]}]}"#, .done),
    ])
    func doesNotTakeAReplyThatItCannotReadForAFailure(_ body: String, _ certainty: Certainty) async throws {
        let fixture = try BigQueryFixture([.json(body)])

        let error = await fixture.failure { _ = try await $0.query(Statement("change it", "SELECT 1")) }

        #expect(error?.code == .unexpectedResult)
        #expect(error?.certainty == certainty)
    }

    @Test func leavesAJobAloneThatFailed() async throws {
        let fixture = try BigQueryFixture([Self.running, .refusal(400, "invalidQuery")])

        let error = await fixture.failure { _ = try await $0.query(Statement("read it", "SELECT 1")) }

        #expect(error?.code == .invalid)
        #expect(error?.certainty == .notDone)
        #expect(fixture.server.requests.count == 2)
    }

    @Test(arguments: [
        #"{"jobComplete": true, "status": {"state": "DONE", "errorResult": {"reason": "invalidQuery", "message": "no"}}}"#,
        #"{"error": {"code": 400, "message": "outer", "errors": [{"reason": "invalidQuery", "message": "no"}]}}"#,
        #"{"jobComplete": true, "errors": [{"reason": "invalidQuery", "message": "no"}]}"#,
    ])
    func findsAnErrorWithinStatus200(_ body: String) async throws {
        let fixture = try BigQueryFixture([.json(body)])

        let error = await fixture.failure { _ = try await $0.query(Statement("read it", "SELECT 1")) }

        #expect(error?.description == "could not read it: no (invalid)")
    }

    @Test func findsAnErrorWithinStatus200AfterTheWait() async throws {
        let fixture = try BigQueryFixture([
            Self.running, .json(#"{"status": {"errorResult": {"reason": "invalidQuery", "message": "no"}}}"#),
        ])

        let error = await fixture.failure { _ = try await $0.query(Statement("read it", "SELECT 1")) }

        #expect(error?.code == .invalid)
    }

    @Test func asksTheJobWhetherItsErrorsAreWarnings() async throws {
        let warned = ScriptedReply.json(
            """
            {"jobComplete": true, "jobReference": {"jobId": "job_1", "location": "EU"},
             "errors": [{"reason": "invalid", "message": "a warning"}],
             "schema": {"fields": [{"name": "n", "type": "INTEGER"}]}, "rows": [{"f": [{"v": "1"}]}]}
            """)
        let harmless = try BigQueryFixture([warned, .json(#"{"status": {"state": "DONE"}}"#)])
        let failed = try BigQueryFixture([
            warned, .json(#"{"status": {"errorResult": {"reason": "stopped", "message": "cancelled"}}}"#),
        ])

        let result = try await harmless.query()
        let error = await failed.failure { _ = try await $0.query(Statement("read it", "SELECT 1")) }

        #expect(result.rows.count == 1)
        let request = harmless.server.requests[1]
        #expect(request.path == "\(BigQueryFixture.path)/jobs/job_1")
        #expect(request.query == ["location": "EU", "fields": "status"])
        #expect(error?.code == .stopped)
        #expect(error?.message == "cancelled")
    }

    @Test func countsBilledBytes() async throws {
        let fixture = try BigQueryFixture([
            .json(#"{"jobComplete": true, "schema": {}, "totalBytesBilled": "10485760"}"#)
        ])

        let result = try await fixture.query()

        #expect(result.bytesBilled == 10_485_760)
        #expect(result.affectedRows == nil)
        #expect(result.rows.isEmpty)
    }

    @Test func needsAJobToWaitFor() async throws {
        let fixture = try BigQueryFixture([.json(#"{"jobComplete": false}"#)])

        let error = await fixture.failure { _ = try await $0.query(Statement("read it", "SELECT 1")) }

        #expect(error?.code == .unexpectedResult)
    }
}
