import GoogleCredentials
import HTTPTransport
import JobRuntime
import Synchronization
import TestSupport
import Testing

@Suite struct CredentialsMetadataServerTests {
    private static func reply(_ flavor: String? = "Google") -> ScriptedReply {
        var reply = ScriptedReply.token("ya29.metadata", expiresIn: "1799")
        reply.headers["Metadata-Flavor"] = flavor
        return reply
    }

    private func environment(_ fixture: CredentialFixture) -> [String: String] {
        ["GCE_METADATA_HOST": "127.0.0.1:\(fixture.server.port)"]
    }

    @Test func asksForTheServiceAccountOfTheMachine() async throws {
        let fixture = try CredentialFixture(replies: [Self.reply()])

        let credentials = try fixture.find(environment(fixture))
        let token = try await credentials.fetchToken()

        #expect(token.value == "ya29.metadata")
        #expect(token.expiresAt == CredentialFixture.start.adding(.seconds(1799)))
        let request = try #require(fixture.server.requests.first)
        #expect(request.method == "GET")
        #expect(request.path == "/computeMetadata/v1/instance/service-accounts/default/token")
        #expect(request.query == ["scopes": "https://www.googleapis.com/auth/bigquery"])
        #expect(request.headers["Metadata-Flavor"] == "Google")
        #expect(credentials.origin == "metadata server 127.0.0.1:\(fixture.server.port)")
    }

    @Test(arguments: [nil, "Evil"] as [String?])
    func refusesAnAnswerFromSomethingElse(flavor: String?) async throws {
        let fixture = try CredentialFixture(replies: [Self.reply(flavor)])

        let error = try #require(try await fixture.failure(environment(fixture)))

        #expect(error.code == .invalidResponse)
        #expect(error.message.contains("`Metadata-Flavor: Google`"))
    }

    @Test func triesFiveTimesWhereTheServerHasToBe() async throws {
        let busy = ScriptedReply.text("starting", status: 503)
        let fixture = try CredentialFixture(replies: [busy, .closeWithoutReply, busy, busy, Self.reply()])

        let token = try await fixture.find(environment(fixture)).fetchToken()

        #expect(token.value == "ya29.metadata")
        #expect(fixture.server.requests.count == 5)
        #expect(fixture.pauses.count == 4)
    }

    @Test func saysSoWhenTheMachineHasNoServiceAccount() async throws {
        let fixture = try CredentialFixture(replies: [.text("<html>secret page</html>", status: 404)])

        let error = try #require(try await fixture.failure(environment(fixture)))

        #expect(error.code == .refused)
        #expect(error.message == "HTTP 404")
        #expect(fixture.server.requests.count == 1)
    }

    @Test(arguments: ["a/b", "user@host", "host:0", "host:port", "ho st", "host\r\nX: y"])
    func refusesAHostThatIsNone(host: String) async throws {
        let fixture = try CredentialFixture()

        let error = try #require(try await fixture.failure(["GCE_METADATA_HOST": host]))

        #expect(error.code == .notFound)
        #expect(error.message == "GCE_METADATA_HOST must be HOST or HOST:PORT")
    }

    @Test(
        arguments: [
            ([:], .notFound, 2), (["CLOUD_RUN_JOB": "org-sync-all"], .unavailable, 4),
            (["GCE_METADATA_HOST": "metadata"], .unavailable, 4),
        ] as [([String: String], CredentialsError.Code, Int)])
    func tellsNoServerFromOneThatIsAway(
        environment: [String: String], code: CredentialsError.Code, pauses: Int
    ) async throws {
        let recorded = Mutex(0)
        let time = TimeSource(elapsed: { .zero }, sleep: { _ in recorded.withLock { $0 += 1 } })
        let credentials = try ApplicationDefaultCredentials.find(
            environment: environment, transport: FailingTransport(), now: { CredentialFixture.start }, time: time)

        let error = await #expect(throws: CredentialsError.self) { try await credentials.fetchToken() }

        #expect(error?.code == code)
        #expect(error?.description.contains("Could not resolve host") == true)
        #expect(error?.message.contains("GOOGLE_APPLICATION_CREDENTIALS is not set") == (code == .notFound))
        #expect(recorded.withLock { $0 } == pauses)
    }
}
