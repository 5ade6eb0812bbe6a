import BigQueryWarehouse
import Foundation
import GoogleCredentials
import HTTPTransport
import TestSupport
import Testing
import Warehouse

@Suite struct AuthorizationTests {
    private let dataset = DatasetID("acme_test")!
    private let found = ScriptedReply.json(#"{"datasetReference": {"datasetId": "acme_test"}}"#)

    @Test func sendsATokenThatIsFetchedOnce() async throws {
        let tokens = CountingTokens()
        let fixture = try BigQueryFixture(
            [found, found], BigQueryFixture.Options(tokens: tokens, quotaProject: "billed-project"))

        _ = try await fixture.warehouse.dataset(dataset)
        _ = try await fixture.warehouse.dataset(dataset)

        #expect(fixture.server.requests.map { $0.headers["Authorization"] } == ["Bearer token-1", "Bearer token-1"])
        #expect(fixture.server.requests.allSatisfy { $0.headers["x-goog-user-project"] == "billed-project" })
        #expect(tokens.fetched == 1)
    }

    @Test func sendsNoCredentialsToAnEmulator() async throws {
        let fixture = try BigQueryFixture([found])

        _ = try await fixture.warehouse.dataset(dataset)

        #expect(fixture.server.requests.first?.headers["Authorization"] == nil)
        #expect(fixture.server.requests.first?.headers["x-goog-user-project"] == nil)
    }

    @Test func renewsATokenThatIsRefused() async throws {
        let fixture = try BigQueryFixture(
            [.refusal(401, "authError"), .number(3)], BigQueryFixture.Options(tokens: CountingTokens()))

        let result = try await fixture.query()

        let requests = fixture.server.requests
        #expect(try result.rows.first?.int64("n") == 3)
        #expect(requests.map { $0.headers["Authorization"] } == ["Bearer token-1", "Bearer token-2"])
        #expect(requests[0].body == requests[1].body)
        #expect(fixture.clock.sleeps.isEmpty)
    }

    @Test func endsTheRunWhenTheNewTokenIsRefusedToo() async throws {
        let fixture = try BigQueryFixture(
            [.refusal(401, "authError"), .json(#"{"error": "unauthorized"}"#, status: 401)],
            BigQueryFixture.Options(tokens: CountingTokens()))

        let error = await fixture.failure { _ = try await $0.dataset(dataset) }

        #expect(error?.code == .unauthenticated)
        #expect(error?.endsRun == true)
        #expect(error?.description.contains("token-") == false)
        #expect(fixture.server.requests.count == 2)
        #expect(fixture.server.unexpected == [])
    }

    @Test func renewsATokenInTheMiddleOfTheRetries() async throws {
        let fixture = try BigQueryFixture(
            [.refusal(503, "backendError"), .refusal(401, "authError"), .refusal(503, "backendError"), found],
            BigQueryFixture.Options(tokens: CountingTokens()))

        _ = try await fixture.warehouse.dataset(dataset)

        #expect(
            fixture.server.requests.map { $0.headers["Authorization"] } == [
                "Bearer token-1", "Bearer token-1", "Bearer token-2", "Bearer token-2",
            ])
    }

    @Test func endsTheRunWhereThereIsNoToken() async throws {
        let tokens = CountingTokens(
            error: CredentialsError(.refused, operation: "get an access token", message: "invalid_grant"))
        let fixture = try BigQueryFixture([], BigQueryFixture.Options(tokens: tokens))

        let error = await fixture.failure { _ = try await $0.dataset(dataset) }

        #expect(error?.code == .unauthenticated)
        #expect(error?.endsRun == true)
        #expect(error?.message == "get an access token: invalid_grant")
        #expect(tokens.fetched == 1)
        #expect(fixture.server.requests.isEmpty)
    }
}

/// What was sent never shows in what is said about it.
@Suite struct SecrecyTests {
    private static let replies: [ScriptedReply] = [
        .refusal(400, "invalidQuery"), .refusal(401, "authError"), .refusal(403, "accessDenied"),
        .refusal(500, "internalError"), .text("<html>", status: 500), .text("not JSON"), .closeWithoutReply, .reset,
        .rawBytes(Data("SSH-2.0-OpenSSH".utf8)), .json(#"{"jobComplete": false}"#),
        .json(#"{"jobComplete": true, "rows": [{"f": [{"v": "s3cret-result"}]}]}"#),
        .json(
            #"{"jobComplete": true, "schema": {"fields": [{"name": "v", "type": "DATE"}]}, "rows": [{"f": [{"v": "s3cret-result"}]}]}"#
        ),
    ]

    @Test(arguments: 0..<12)
    func showsNeitherParametersNorTokensNorResults(_ index: Int) async throws {
        let fixture = try BigQueryFixture(BigQueryFixture.Options(tokens: CountingTokens())) { _ in
            Self.replies[index]
        }

        let error = await fixture.failure {
            _ = try await $0.query(Statement("read it", "SELECT @p", parameters: ["p": .string("s3cret-parameter")]))
        }

        let shown = "\(try #require(error)) \(String(reflecting: error))"
        #expect(!shown.contains("s3cret"))
        #expect(!shown.contains("token-"))
        #expect(!shown.contains("Bearer"))
    }
}
