import Foundation
import GoogleCredentials
import HTTPTransport
import JobRuntime
import TestSupport
import Testing

@Suite struct CredentialsServiceAccountTests {
    @Test func exchangesAnAssertionSignedWithTheKey() async throws {
        let fixture = try CredentialFixture(replies: [.token("ya29.sa", expiresIn: "3599")])
        try fixture.write(fixture.serviceAccount())

        let token = try await fixture.find().fetchToken()

        #expect(token.value == "ya29.sa")
        #expect(token.expiresAt == CredentialFixture.start.adding(.seconds(3599)))
        let request = try #require(fixture.server.requests.first)
        #expect(request.method == "POST")
        #expect(request.path == "/token")
        #expect(request.headers["Content-Type"] == "application/x-www-form-urlencoded")
        #expect(request.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer")
        let assertion = try Assertion(#require(request.form["assertion"]))
        #expect(assertion.header == ["alg": "RS256", "typ": "JWT", "kid": "key-7"])
        #expect(assertion.claims["iss"] as? String == "jobs@acme-prod.iam.gserviceaccount.com")
        #expect(assertion.claims["scope"] as? String == "https://www.googleapis.com/auth/bigquery")
        #expect(assertion.claims["aud"] as? String == "\(fixture.server.url)/token")
        #expect(assertion.claims["iat"] as? Int == 1_769_817_600)
        #expect(assertion.claims["exp"] as? Int == 1_769_821_200)
        #expect(assertion.claims.count == 5)
        #expect(TestKey.rsa.verifies(assertion.signature, of: assertion.signed))
        #expect(!TestKey.rsa.verifies(assertion.signature, of: assertion.signed + "x"))
        #expect(fixture.server.unexpected.isEmpty)
    }

    @Test func takesAKeyInTheOlderFormAndWithoutID() async throws {
        let fixture = try CredentialFixture(replies: [.token()])
        try fixture.write(
            fixture.serviceAccount(["private_key": TestKey.rsa.traditionalPEM, "private_key_id": nil]))

        _ = try await fixture.find().fetchToken()

        let assertion = try Assertion(#require(fixture.server.requests.first?.form["assertion"]))
        #expect(assertion.header == ["alg": "RS256", "typ": "JWT"])
        #expect(TestKey.rsa.verifies(assertion.signature, of: assertion.signed))
    }

    @Test func saysWhereItIsFrom() throws {
        let fixture = try CredentialFixture()
        try fixture.write(fixture.serviceAccount())

        let origin = try fixture.find().origin

        #expect(origin == "service account key file /keys/credentials.json (jobs@acme-prod.iam.gserviceaccount.com)")
    }

    /// Names, and not the keys, so that the test's output shows none.
    enum UnusableKey: CaseIterable {
        case garbage, damaged, publicHalf, withoutLineBreaks, withPassPhrase, ofAnotherKind

        var pem: String {
            switch self {
            case .garbage: "garbage"
            case .damaged: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
            case .publicHalf: TestKey.rsa.publicPEM
            case .withoutLineBreaks: TestKey.rsa.pem.replacingOccurrences(of: "\n", with: "\\n")
            case .withPassPhrase: TestKey.rsa.encryptedPEM
            case .ofAnotherKind: TestKey.ellipticCurve.pem
            }
        }

        var reason: String {
            switch self {
            case .withPassPhrase: "is protected with a pass phrase"
            case .ofAnotherKind: "is not an RSA key"
            default: "is not a private key in PEM form"
            }
        }
    }

    @Test(arguments: UnusableKey.allCases)
    func refusesAKeyThatCannotSign(key: UnusableKey) async throws {
        let fixture = try CredentialFixture()
        try fixture.write(fixture.serviceAccount(["private_key": key.pem]))

        let error = try #require(try await fixture.failure())

        #expect(error.code == .invalidFile)
        #expect(error.description.contains("/keys/credentials.json: field `private_key` \(key.reason)"))
        #expect(!error.description.contains("\n"))
        #expect(fixture.server.requests.isEmpty)
    }
}

/// A JSON Web Token, taken apart.
private struct Assertion {
    let signed: String
    let header: [String: String]
    let claims: [String: Any]
    let signature: Data

    init(_ text: String) throws {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        try #require(parts.count == 3)
        signed = "\(parts[0]).\(parts[1])"
        header = try JSONDecoder().decode([String: String].self, from: Self.decoded(parts[0]))
        claims = try #require(JSONSerialization.jsonObject(with: Self.decoded(parts[1])) as? [String: Any])
        signature = try Self.decoded(parts[2])
    }

    private static func decoded(_ text: String) throws -> Data {
        try #require(text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") })
        let standard = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        return try #require(Data(base64Encoded: standard + String(repeating: "=", count: -text.count & 3)))
    }
}

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
