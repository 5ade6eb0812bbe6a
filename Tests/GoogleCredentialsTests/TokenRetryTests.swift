import Foundation
import GoogleCredentials
import HTTPTransport
import JobRuntime
import TestSupport
import Testing

@Suite struct CredentialsRetryTests {
    @Test(arguments: [
        ScriptedReply.text("busy", status: 503), .text("", status: 500), .text("", status: 502), .text("", status: 504),
        .text("", status: 408), .text("", status: 429), .json(#"{"error": "temporarily_unavailable"}"#, status: 400),
        .json(#"{"error": "internal_failure"}"#, status: 400), .json(#"{"error": "server_error"}"#, status: 401),
        .closeWithoutReply, .reset, .truncated(Data("{}     ".utf8), afterBytes: 2),
    ])
    func triesAgainWhatMayPass(reply: ScriptedReply) async throws {
        let fixture = try CredentialFixture(replies: [reply, reply, .token("ya29.third")])
        try fixture.write(fixture.authorizedUser())

        let token = try await fixture.find().fetchToken()

        #expect(token.value == "ya29.third")
        #expect(fixture.pauses.count == 2)
        #expect(.milliseconds(900)...(.milliseconds(1100)) ~= fixture.pauses[0])
        #expect(.milliseconds(1800)...(.milliseconds(2200)) ~= fixture.pauses[1])
        #expect(fixture.server.requests.count == 3)
        #expect(fixture.server.unexpected.isEmpty)
    }

    @Test func givesUpWithTheLastErrorAfterThreeAttempts() async throws {
        let replies = ["one", "two", "three"].map {
            ScriptedReply.json(#"{"error": "server_error", "error_description": "\#($0)"}"#, status: 500)
        }
        let fixture = try CredentialFixture(replies: replies)
        try fixture.write(fixture.authorizedUser())

        let error = try #require(try await fixture.failure())

        #expect(error.code == .unavailable)
        #expect(error.isRetryable)
        #expect(error.message == "server_error: three (HTTP 500)")
        #expect(fixture.server.requests.count == 3)
        #expect(fixture.server.unexpected.isEmpty)
    }

    @Test(arguments: [
        (
            400, #"{"error": "invalid_grant", "error_description": "Invalid JWT\u0000Signature."}"#,
            "invalid_grant: Invalid JWT Signature. (HTTP 400)"
        ),
        (401, #"{"error": "invalid_client"}"#, "invalid_client (HTTP 401)"),
        (403, "<html>not for you</html>", "HTTP 403"),
        (400, #"{"error": {"code": 5}}"#, "HTTP 400"),
        (302, "", "HTTP 302"),
    ])
    func takesNoForAnAnswer(status: Int, body: String, message: String) async throws {
        let fixture = try CredentialFixture(replies: [.json(body, status: status)])
        try fixture.write(fixture.serviceAccount())

        let error = try #require(try await fixture.failure())

        #expect(error.code == .refused)
        #expect(!error.isRetryable)
        #expect(error.message == message)
        #expect(
            error.operation == "asking \(fixture.server.url)/token for an access token for "
                + "jobs@acme-prod.iam.gserviceaccount.com")
        #expect(fixture.pauses.isEmpty)
        #expect(fixture.server.requests.count == 1)
    }

    @Test func saysWhatKeptTheServerFromAnswering() async throws {
        let fixture = try CredentialFixture()
        try fixture.write(fixture.authorizedUser())
        fixture.server.stop()

        let error = try #require(try await fixture.failure())

        #expect(error.code == .unavailable)
        #expect(error.message.contains("(connectionFailed)"))
        #expect(fixture.pauses.count == 2)
    }

    @Test func aCertificateThatIsNotTrustedIsNotTriedAgain() async throws {
        let fixture = try CredentialFixture()
        try fixture.write(fixture.authorizedUser(["token_uri": "https://token.googleapis.com/"]))

        let error = try #require(try await fixture.failure(over: FailingTransport(code: .tlsFailed)))

        #expect(error.code == .transportFailed)
        #expect(!error.isRetryable)
        #expect(fixture.pauses.isEmpty)
    }
}
