import GoogleCredentials
import JobRuntime
import TestSupport
import Testing

@Suite struct CredentialsFileTests {
    @Test(arguments: [
        ("", "the file is empty"), ("{", "the file is not a JSON object"), ("[]", "the file is not a JSON object"),
        ("\"x\"", "the file is not a JSON object"), ("-----BEGIN PRIVATE KEY-----", "the file is not a JSON object"),
        ("{}", "field `type` is missing; the file must be credentials"),
        (#"{"type": 5}"#, "field `type` must be a string"),
        (#"{"type": null}"#, "field `type` is missing"),
        (#"{"type": "service"}"#, "field `type` is not a type of credentials that Google's clients know"),
        (#"{"installed": {"client_id": "x"}}"#, "field `type` is missing: this is an OAuth client, not credentials"),
        (#"{"type": "impersonated_service_account"}"#, "field `source_credentials` is missing"),
        (
            #"{"type": "impersonated_service_account", "source_credentials": "x"}"#,
            "field `source_credentials` must be an object"
        ),
        (
            #"{"type": "impersonated_service_account", "source_credentials": {"type": "authorized_user"}}"#,
            "field `source_credentials.client_id` is missing"
        ),
        (#"{"type": "external_account"}"#, "field `audience` is missing"),
    ])
    func saysWhatIsWrong(content: String, reason: String) async throws {
        let fixture = try CredentialFixture()
        fixture.write(content)

        let error = try #require(try await fixture.failure())

        #expect(error.code == .invalidFile)
        #expect(error.operation == "reading the Google credentials in /keys/credentials.json")
        #expect(error.message.hasPrefix(reason))
        #expect(!error.description.contains("\n"))
    }

    @Test(arguments: [
        (#"{"type": "external_account_authorized_user"}"#, "`external_account_authorized_user` are not supported"),
        (#"{"type": "gdch_service_account"}"#, "`gdch_service_account` are not supported"),
        (#"{"type": "service_account", "universe_domain": "apis.example"}"#, "`universe_domain` is not googleapis.com"),
    ])
    func saysWhatIsNotSupported(content: String, reason: String) async throws {
        let fixture = try CredentialFixture()
        fixture.write(content)

        let error = try #require(try await fixture.failure())

        #expect(error.code == .notSupported)
        #expect(error.description.contains("/keys/credentials.json"))
        #expect(error.message.contains(reason))
    }

    @Test(arguments: ["client_email", "private_key"])
    func eachFieldOfAServiceAccountIsChecked(field: String) async throws {
        try await check(field) { $0.serviceAccount($1) }
    }

    @Test(arguments: ["client_id", "client_secret", "refresh_token"])
    func eachFieldOfAnAuthorizedUserIsChecked(field: String) async throws {
        try await check(field) { $0.authorizedUser($1) }
    }

    private func check(
        _ field: String, _ object: (CredentialFixture, [String: Any?]) -> [String: Any]
    ) async throws {
        let fixture = try CredentialFixture()
        for (value, reason) in [(nil, "is missing; "), (17, "must be a string"), ("", "is empty; ")] as [(Any?, String)]
        {
            try fixture.write(object(fixture, [field: value]))

            let error = try #require(try await fixture.failure())

            #expect(error.code == .invalidFile)
            #expect(error.message.hasPrefix("field `\(field)` \(reason)"))
        }
    }

    @Test(arguments: ["ada", "ada@", "@acme.example", "a@b@c.example", "a\nb@acme.example", "ада@acme.example"])
    func refusesAnAddressThatIsNone(email: String) async throws {
        let fixture = try CredentialFixture()
        try fixture.write(fixture.serviceAccount(["client_email": email]))

        let error = try #require(try await fixture.failure())

        #expect(error.message.hasPrefix("field `client_email` is not a service account's address"))
        #expect(!error.description.contains(email))
    }
}

@Suite struct CredentialsEndpointTests {
    /// The grammar in which no other reader of the URL can find another host.
    @Test(arguments: [
        "http://oauth2.googleapis.com/token", "ftp://localhost/token", "oauth2.googleapis.com/token", "https://",
        "https:///token",
        "http://localhost.evil.example/token", "http://localhost@evil.example/token", "https://a@evil.example/token",
        "http://127.0.0.1\\@evil.example/", "http://127.0.0.1#@evil.example/", "https://a.example:0/",
        "https://a.example:x/",
        "https://a.example/\r\nHost: b", "https://a.example/ b", "https://bücher.example/", "http://[::1/",
        "http://[::1]x/",
        "http://127.0.0.2/token", "HTTPS://a.example/", "https:/a.example", "http://169.254.169.254/token",
        "https://a.example/x#y", "https://a.example/{x}",
    ])
    func sendsNoSecretToAnUnsafeURL(url: String) async throws {
        let fixture = try CredentialFixture()
        try fixture.write(fixture.authorizedUser(["token_uri": url]))

        let error = try #require(throws: CredentialsError.self) { try fixture.find() }

        #expect(error.message == "field `token_uri` must be an https URL (plain http only to localhost)")
    }

    @Test(arguments: [
        "https://oauth2.googleapis.com/token", "https://sts.googleapis.com:8443/x?y=z", "http://localhost/token",
        "https://accounts.google.com/o/oauth2/token", "http://127.0.0.1:80", "http://[::1]:9/token",
        "http://LOCALHOST:1/",
    ])
    func takesASafeURL(url: String) throws {
        let fixture = try CredentialFixture()
        try fixture.write(fixture.authorizedUser(["token_uri": url]))

        #expect(throws: Never.self) { try fixture.find() }
    }

    @Test(arguments: [
        "https://evil.example/token", "https://googleapis.com.evil.example/", "https://evilgoogleapis.com/",
        "https://google.com/",
        "https://[2001:db8::1]/token",
    ])
    func sendsNoSecretToAnotherHost(url: String) throws {
        let fixture = try CredentialFixture()
        try fixture.write(fixture.authorizedUser(["token_uri": url]))

        let error = try #require(throws: CredentialsError.self) { try fixture.find() }

        #expect(error.message == "field `token_uri` must be a host of Google's")
    }
}
