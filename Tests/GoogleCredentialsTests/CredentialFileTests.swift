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
