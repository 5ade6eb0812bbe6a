import Foundation
import GoogleCredentials
import HTTPTransport
import JobRuntime
import TestSupport
import Testing

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
