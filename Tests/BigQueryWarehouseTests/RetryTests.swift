import BigQueryWarehouse
import Foundation
import GoogleCredentials
import HTTPTransport
import JobRuntime
import TestSupport
import Testing
import Warehouse

@Suite struct RetryTests {
    private static let lost: [ScriptedReply] = [
        .closeWithoutReply, .reset, .truncated(Data(repeating: 65, count: 100), afterBytes: 10),
        .refusal(503, "backendError"), .text("bad gateway", status: 502),
    ]

    @Test(arguments: 0..<5)
    func sendsTheSameJobAgainWhenItsReplyIsLost(_ index: Int) async throws {
        let fixture = try BigQueryFixture([Self.lost[index], .number(7)])

        let result = try await fixture.query("SELECT @n", ["n": .int64(1)])

        let requests = fixture.server.requests
        #expect(try result.rows.first?.int64("n") == 7)
        #expect(requests.count == 2)
        #expect(requests[0].body == requests[1].body)
        #expect(requests[0].jsonBody["requestId"]?.string?.isEmpty == false)
        #expect(fixture.clock.sleeps.count == 1)
    }

    /// The first request may have begun a job: a second one beside it would do the work twice.
    @Test(arguments: 0..<5)
    func startsNoNewJobBesideOneThatMayHaveBegun(_ index: Int) async throws {
        let fixture = try BigQueryFixture([Self.lost[index], .refusal(403, "rateLimitExceeded"), .number(7)])

        let result = try await fixture.query("UPDATE d.t SET n = n + 1 WHERE TRUE")

        #expect(try result.rows.first?.int64("n") == 7)
        #expect(fixture.server.requests.count == 3)
        #expect(Set(fixture.server.requests.map { $0.jsonBody["requestId"] }).count == 1)
    }

    @Test func saysThatItMayHaveBeenDone() async throws {
        let lost = try BigQueryFixture { $0.index == 0 ? .reset : .refusal(403, "rateLimitExceeded") }
        let refused = try BigQueryFixture { _ in .refusal(403, "rateLimitExceeded") }
        let unreachable = try BigQueryFixture([])
        unreachable.server.stop()

        var errors: [WarehouseError?] = []
        for fixture in [lost, refused, unreachable] {
            errors.append(
                await fixture.failure { _ = try await $0.query(Statement("change it", "DELETE FROM d.t WHERE TRUE")) })
        }

        #expect(errors.map(\.?.code) == [.rateLimited, .rateLimited, .transport])
        #expect(errors.map(\.?.certainty) == [.unknown, .notDone, .notDone])
    }

    @Test func asksForTheSameJobAgainWhereItIsNotYetFound() async throws {
        let fixture = try BigQueryFixture([.refusal(404, "notFound", "Not found: Job p:US.job_1"), .number(7)])

        _ = try await fixture.query()

        let ids = fixture.server.requests.map { $0.jsonBody["requestId"] }
        #expect(ids.count == 2 && ids[0] == ids[1])
    }

    @Test func givesUpWithTheLastError() async throws {
        let fixture = try BigQueryFixture([
            .closeWithoutReply, .closeWithoutReply, .closeWithoutReply, .refusal(503, "backendError", "the last one"),
        ])

        let error = await fixture.failure { _ = try await $0.query(Statement("read it", "SELECT 1")) }

        #expect(error?.code == .backendError)
        #expect(error?.description == "could not read it: the last one (backendError)")
        #expect(fixture.server.requests.count == 4)
        #expect(fixture.clock.sleeps.count == 3)
        #expect(fixture.clock.sleeps.allSatisfy { $0 <= .seconds(4) })
    }

    @Test(arguments: [
        ScriptedReply.refusal(400, "jobBackendError"), .refusal(400, "jobInternalError"),
        .refusal(400, "jobRateLimitExceeded"), .refusal(403, "rateLimitExceeded"),
        .refusal(400, "invalidQuery", "Could not serialize access to table p:d.t due to concurrent update"),
        .refusal(400, "resourcesExceeded", "Too many DML statements outstanding against table p:d.t, limit is 20."),
        .json(#"{"status": {"errorResult": {"reason": "jobInternalError", "message": "again"}}}"#),
        .json(#"{"status": {"errorResult": {"reason": "rateLimitExceeded", "message": "again"}}}"#),
        .json(#"{"jobComplete": true, "errors": [{"reason": "backendError", "message": "again"}]}"#),
    ])
    func startsANewJobWhereTheFirstOneFailed(_ failure: ScriptedReply) async throws {
        let fixture = try BigQueryFixture([failure, .number(7)])

        let result = try await fixture.query("SELECT @n", ["n": .int64(1)])

        let bodies = fixture.server.requests.compactMap { $0.jsonBody.object }
        #expect(try result.rows.first?.int64("n") == 7)
        #expect(bodies.count == 2)
        #expect(bodies[0]["requestId"] != bodies[1]["requestId"])
        for key in ["query", "queryParameters", "location"] { #expect(bodies[0][key] == bodies[1][key]) }
    }

    @Test func keepsTheIdOfTheNewJobWhenItsReplyIsLost() async throws {
        let fixture = try BigQueryFixture([
            .refusal(400, "jobBackendError"), .reset, .number(),
        ])

        _ = try await fixture.query()

        let ids = fixture.server.requests.map { $0.jsonBody["requestId"] }
        #expect(ids[0] != ids[1])
        #expect(ids[1] == ids[2])
    }

    @Test(arguments: [
        ("quotaExceeded", 403, WarehouseError.Code.quotaExceeded, true), ("accessDenied", 403, .accessDenied, true),
        ("billingNotEnabled", 403, .billingNotEnabled, true), ("invalidQuery", 400, .invalid, false),
        ("responseTooLarge", 403, .resourcesExceeded, false), ("notFound", 404, .notFound, false),
    ])
    func repeatsNothingThatCannotHelp(
        _ reason: String, _ status: Int, _ code: WarehouseError.Code, _ endsRun: Bool
    ) async throws {
        let fixture = try BigQueryFixture([.refusal(status, reason)])

        let error = await fixture.failure { _ = try await $0.query(Statement("read it", "SELECT 1")) }

        #expect(error?.code == code)
        #expect(error?.endsRun == endsRun)
        #expect(fixture.server.requests.count == 1)
        #expect(fixture.clock.sleeps.isEmpty)
    }

    @Test func endsTheRunOnlyWhereTheRefusalConcernsTheProject() async throws {
        let fixture = try BigQueryFixture { _ in .refusal(403, "accessDenied") }
        let dataset = try #require(DatasetID("acme_test"))

        let reading = await fixture.failure { _ = try await $0.dataset(dataset) }
        let creating = await fixture.failure { _ = try await $0.createDataset(Dataset(id: dataset, location: "US")) }

        #expect(reading?.endsRun == false)
        #expect(creating?.endsRun == true)
    }

    @Test(arguments: [3, 40])
    func waitsAsLongAsTheServerAsks(_ seconds: Int) async throws {
        let headers: HTTPHeaders = ["Retry-After": "\(seconds)"]
        let fixture = try BigQueryFixture([.refusal(503, "backendError", headers: headers), .number()])

        _ = try await fixture.query()

        #expect(fixture.clock.sleeps == [.seconds(seconds)])
    }

    @Test(arguments: ["rateLimitExceeded", "backendError"])
    func givesUpAtOnceWhereTheServerAsksForMoreTimeThanThereIs(_ reason: String) async throws {
        let fixture = try BigQueryFixture { _ in .refusal(503, reason, "later", headers: ["Retry-After": "7200"]) }

        let querying = await fixture.failure { _ = try await $0.query(Statement("read it", "SELECT 1")) }
        let reading = await fixture.failure { _ = try await $0.dataset(try #require(DatasetID("acme_test"))) }

        #expect(fixture.server.requests.count == 2)
        #expect(fixture.clock.sleeps.isEmpty)
        let advice = "; the server may be asked again in 2 h 0 min"
        #expect(querying?.description.hasSuffix(advice) == true)
        #expect(reading?.description.hasSuffix(advice) == true)
    }

    @Test(arguments: [
        ("rateLimitExceeded", "as scripted"),
        ("quotaExceeded", "Your user_method exceeded quota for concurrent api requests per user per method."),
    ])
    func slowsDownWhenTheRateIsExceeded(_ reason: String, _ message: String) async throws {
        let fixture = try BigQueryFixture { request in
            request.index == 0 ? .refusal(403, reason, message) : .json("{}")
        }
        let dataset = try #require(DatasetID("acme_test"))

        for number in 0..<20 {
            let reference = try #require(TableReference(dataset, "t\(number)"))
            _ = try await fixture.warehouse.createTable(reference, Table(fields: []))
        }

        // The retry pauses for a second at most; without the burst the others take theirs at five to seven a second.
        #expect(fixture.server.requests.count == 21)
        #expect(fixture.clock.sleeps.reduce(Duration.zero, +) >= .seconds(2))
    }

    @Test func createsTenTablesASecondAfterABurst() async throws {
        let fixture = try BigQueryFixture { _ in .json("{}") }
        let dataset = try #require(DatasetID("acme_test"))

        for number in 0..<50 {
            let reference = try #require(TableReference(dataset, "t\(number)"))
            _ = try await fixture.warehouse.createTable(reference, Table(fields: []))
        }

        // 30 at once, and then a tenth of a second each.
        let waited = fixture.clock.sleeps.reduce(Duration.zero, +)
        #expect(waited >= .seconds(1.99))
        #expect(waited <= .seconds(2.1))
    }

    @Test func sharesTheBudgetAmongTheTasksOfAnExecution() async throws {
        let fixture = try BigQueryFixture(BigQueryFixture.Options(taskCount: 10)) { _ in .json("{}") }
        let dataset = try #require(DatasetID("acme_test"))

        for number in 0..<5 {
            let reference = try #require(TableReference(dataset, "t\(number)"))
            _ = try await fixture.warehouse.createTable(reference, Table(fields: []))
        }

        let waited = fixture.clock.sleeps.reduce(Duration.zero, +)
        #expect(waited >= .seconds(1.99))
        #expect(waited <= .seconds(2.1))
    }
}
