import GoogleCredentials
import JobRuntime
import TestSupport
import Testing

@Suite struct CredentialsAuthorizedUserTests {
    /// `expires_in` comes as a number and as a string.
    @Test(arguments: ["1800", #""1800""#])
    func exchangesTheRefreshToken(expiresIn: String) async throws {
        let fixture = try CredentialFixture(replies: [.token("ya29.user", expiresIn: expiresIn)])
        try fixture.write(fixture.authorizedUser())

        let token = try await fixture.find().fetchToken()

        #expect(token.value == "ya29.user")
        #expect(token.expiresAt == CredentialFixture.start.adding(.seconds(1800)))
        #expect(
            fixture.server.requests.map(\.form) == [
                [
                    "grant_type": "refresh_token", "client_id": "764.apps.googleusercontent.com",
                    "client_secret": CredentialFixture.clientSecret, "refresh_token": CredentialFixture.refreshToken,
                ]
            ])
        #expect(fixture.server.unexpected.isEmpty)
    }

    @Test(arguments: [
        "{}", "[]", "", "<html>", #"{"access_token": "a"}"#, #"{"access_token": "a", "expires_in": 0}"#,
        #"{"access_token": "a", "expires_in": "soon"}"#, #"{"access_token": "a", "expires_in": 1e300}"#,
        #"{"access_token": "", "expires_in": 60}"#, #"{"access_token": "a\r\nX-Evil: 1", "expires_in": 60}"#,
        #"{"access_token": 12, "expires_in": 60}"#,
    ])
    func refusesAnAnswerWithoutAUsableToken(answer: String) async throws {
        let fixture = try CredentialFixture(replies: [.json(answer)])
        try fixture.write(fixture.authorizedUser())

        let error = try #require(try await fixture.failure())

        #expect(error.code == .invalidResponse)
        #expect(!error.isRetryable)
        #expect(error.operation.contains("asking \(fixture.server.url)/token"))
        #expect(fixture.server.requests.count == 1)
    }
}
