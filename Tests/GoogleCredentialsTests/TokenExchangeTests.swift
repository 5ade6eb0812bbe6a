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

/// Nothing that is printed, reflected or dumped shows what was in the files or on the wire.
@Suite struct CredentialsSecrecyTests {
    private static let token = "ya29.do-not-show-this-token"
    private static let subject = "subject.do-not-show-this-either"
    private static let header = "Bearer do-not-show-this-header"

    private static var secrets: [String] {
        let keyLines = TestKey.rsa.pem.split(separator: "\n").map(String.init).filter { !$0.hasPrefix("-----") }
        return keyLines + [
            token, subject, header, CredentialFixture.clientSecret, CredentialFixture.refreshToken, "eyJ",
        ]
    }

    /// A server that says no and repeats all that it was sent, or what it would have given.
    private static func echo(_ request: ScriptedRequest) -> ScriptedReply {
        let fields = request.form.values.joined(separator: " ")
        let headers = request.headers.fields.map(\.value).joined(separator: " ")
        let answer = ["error": "invalid_grant", "error_description": "\(fields) \(headers)"]
        let body = (try? JSONSerialization.data(withJSONObject: answer)) ?? Data()
        return ScriptedReply(status: 400, body: body)
    }

    private func shapes(_ fixture: CredentialFixture) -> [[String: Any]] {
        let url: [String: Any] = [
            "url": "\(fixture.server.url)/subject", "headers": ["Authorization": Self.header],
        ]
        let client = ["client_id": "id", "client_secret": CredentialFixture.clientSecret]
        return [
            fixture.serviceAccount(), fixture.authorizedUser(), fixture.externalAccount(url, client),
            fixture.externalAccount(["file": "/tokens/subject"], client),
            [
                "type": "impersonated_service_account", "service_account_impersonation_url": fixture.impersonationURL,
                "source_credentials": fixture.authorizedUser(),
            ],
        ]
    }

    @Test func noErrorShowsASecretThatTheServerRepeats() async throws {
        let fixture = try CredentialFixture(Self.echo)
        fixture.write(Self.subject, to: "/tokens/subject")

        for shape in shapes(fixture) {
            try fixture.write(shape)
            let error = try #require(try await fixture.failure())
            #expect(error.message.hasPrefix("invalid_grant: "))
            #expect(error.message.contains("***"))
            expectNoSecret(error)
        }
    }

    @Test func noErrorShowsATokenThatCannotBeUsed() async throws {
        let answers = [
            #"{"access_token": "\#(Self.token)"}"#, #"{"access_token": "\#(Self.token) "#,
            #"{"access_token": "\#(Self.token)\n", "expires_in": 5}"#, #"{"accessToken": "\#(Self.token)"}"#,
            #"["\#(Self.token)"]"#, Self.token,
        ]
        for answer in answers {
            let fixture = try CredentialFixture { _ in .json(answer) }
            fixture.write(Self.subject, to: "/tokens/subject")
            for shape in shapes(fixture) {
                try fixture.write(shape)
                expectNoSecret(try #require(try await fixture.failure()))
            }
        }
    }

    @Test func noErrorShowsTheContentOfABrokenFile() async throws {
        let fixture = try CredentialFixture()
        for shape in shapes(fixture) {
            let text = String(decoding: try JSONSerialization.data(withJSONObject: shape), as: UTF8.self)
            for broken in [String(text.dropLast()), "[\(text)]", text + Self.token, "\u{feff}\(text)}"] {
                fixture.write(broken)
                expectNoSecret(try #require(try await fixture.failure()))
            }
            // Each value in turn is replaced by something else of the file's.
            for field in shape.keys {
                for wrong in [CredentialFixture.refreshToken, TestKey.rsa.pem, [Self.token], ["x": Self.token]] as [Any]
                {
                    try fixture.write(shape.merging([field: wrong]) { $1 })
                    do {
                        expectNoSecret(try fixture.find().origin)
                    } catch {
                        expectNoSecret(error)
                    }
                }
            }
        }
    }

    @Test func noneOfTheSourcesShowsItsSecrets() async throws {
        let fixture = try CredentialFixture { request in
            request.path.hasSuffix(":generateAccessToken") ? .impersonated(Self.token) : .token(Self.token)
        }
        fixture.write(Self.subject, to: "/tokens/subject")

        for shape in shapes(fixture) where shape["audience"] == nil || "\(shape)".contains("/tokens/subject") {
            try fixture.write(shape)
            let credentials = try fixture.find()
            let cache = CachedAccessToken(source: credentials, now: fixture.now)
            #expect(try await cache.token() == Self.token)
            let token = try await credentials.fetchToken()
            #expect("\(token)" == "*** (until \(token.expiresAt))")
            expectNoSecret(credentials.origin)
            expectNoSecret(credentials)
            expectNoSecret(cache)
            expectNoSecret(token)
            expectNoSecret([token])
        }
    }

    private func expectNoSecret(_ value: Any, sourceLocation: SourceLocation = #_sourceLocation) {
        var dumped = ""
        dump(value, to: &dumped)
        for text in ["\(value)", String(reflecting: value), dumped, (value as? any Error)?.localizedDescription ?? ""] {
            for secret in Self.secrets {
                #expect(!text.contains(secret), "a secret is shown", sourceLocation: sourceLocation)
            }
        }
    }
}
