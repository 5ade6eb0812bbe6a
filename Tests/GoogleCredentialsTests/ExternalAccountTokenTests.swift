import GoogleCredentials
import HTTPTransport
import JobRuntime
import TestSupport
import Testing

@Suite struct CredentialsExternalAccountTests {
    @Test(arguments: [
        ("text", "subject.jwt.text\n"), ("json", #"{"id_token": "subject.jwt.text", "other": 1}"#),
    ])
    func exchangesATokenFromAFile(format: String, content: String) async throws {
        let fixture = try CredentialFixture(replies: [.token("ya29.federated", expiresIn: "3600")])
        let source: [String: Any] = [
            "file": "/tokens/subject", "format": ["type": format, "subject_token_field_name": "id_token"],
        ]
        try fixture.write(fixture.externalAccount(source))
        fixture.write(content, to: "/tokens/subject")

        let token = try await fixture.find().fetchToken()

        #expect(token.value == "ya29.federated")
        #expect(fixture.server.requests.map(\.path) == ["/sts"])
        #expect(
            fixture.server.requests.first?.form == [
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
                "scope": "https://www.googleapis.com/auth/bigquery",
                "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
                "subject_token": "subject.jwt.text",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            ])
        #expect(fixture.server.requests.first?.headers["Authorization"] == nil)
    }

    @Test func readsTheFileAnewEachTime() async throws {
        let fixture = try CredentialFixture(replies: [.token(), .token()])
        try fixture.write(fixture.externalAccount(["file": "/tokens/subject"]))
        fixture.write("first", to: "/tokens/subject")
        let credentials = try fixture.find()

        _ = try await credentials.fetchToken()
        fixture.write("second", to: "/tokens/subject")
        _ = try await credentials.fetchToken()

        #expect(fixture.server.requests.map { $0.form["subject_token"] } == ["first", "second"])
    }

    @Test func exchangesATokenFromAURLAndImpersonates() async throws {
        let fixture = try CredentialFixture(replies: [
            .json(#"{"value": "subject.jwt"}"#), .token("ya29.federated"), .impersonated(),
        ])
        let source: [String: Any] = [
            "url": "\(fixture.server.url)/subject?audience=acme",
            "headers": ["Metadata": "True", "X-Secret": "s3cr3t"],
            "format": ["type": "json", "subject_token_field_name": "value"],
        ]
        try fixture.write(
            fixture.externalAccount(
                source,
                [
                    "service_account_impersonation_url": fixture.impersonationURL,
                    "service_account_impersonation": ["token_lifetime_seconds": 900],
                ]))

        let token = try await fixture.find().fetchToken()

        #expect(token.value == "ya29.impersonated")
        let requests = fixture.server.requests
        #expect(requests.map(\.method) == ["GET", "POST", "POST"])
        #expect(requests[0].target == "/subject?audience=acme")
        #expect(requests[0].headers["Metadata"] == "True")
        #expect(requests[0].headers["X-Secret"] == "s3cr3t")
        #expect(requests[1].form["subject_token"] == "subject.jwt")
        #expect(requests[1].form["scope"] == "https://www.googleapis.com/auth/cloud-platform")
        #expect(requests[2].headers["Authorization"] == "Bearer ya29.federated")
        #expect(requests[2].json["lifetime"] as? String == "900s")
        #expect(fixture.server.unexpected.isEmpty)
    }

    @Test func sendsTheClientOrTheWorkforceProject() async throws {
        let fixture = try CredentialFixture(replies: [.token(), .token()])
        fixture.write("subject", to: "/tokens/subject")
        let client = ["client_id": "id", "client_secret": "se", "workforce_pool_user_project": "acme"]

        try fixture.write(fixture.externalAccount(["file": "/tokens/subject"], client))
        _ = try await fixture.find().fetchToken()
        try fixture.write(
            fixture.externalAccount(["file": "/tokens/subject"], ["workforce_pool_user_project": "acme"]))
        _ = try await fixture.find().fetchToken()

        let requests = fixture.server.requests
        #expect(requests[0].headers["Authorization"] == "Basic aWQ6c2U=")
        #expect(requests[0].form["options"] == nil)
        #expect(requests[1].headers["Authorization"] == nil)
        #expect(requests[1].form["options"] == #"{"userProject":"acme"}"#)
    }
}

@Suite struct CredentialsSubjectTokenTests {
    @Test(arguments: [nil, "", " \n", #"{"other": "x"}"#, #"{"id_token": 5}"#, "not json"] as [String?])
    func saysWhatIsWrongWithTheSubjectTokenFile(content: String?) async throws {
        let fixture = try CredentialFixture()
        try fixture.write(
            fixture.externalAccount([
                "file": "/tokens/subject", "format": ["type": "json", "subject_token_field_name": "id_token"],
            ]))
        if let content { fixture.write(content, to: "/tokens/subject") }

        let error = try #require(try await fixture.failure())

        #expect(error.code == (content == nil ? .unreadableFile : .invalidResponse))
        #expect(error.operation == "reading the subject token in /tokens/subject")
        #expect(fixture.server.requests.isEmpty)
    }

    @Test(
        arguments: [
            (["executable": ["command": "/bin/token"]], "`credential_source.executable` is not supported"),
            (
                ["environment_id": "aws1", "url": "https://a.example"],
                "`credential_source.environment_id` is not supported"
            ),
            (
                ["certificate": ["use_default_certificate_config": true]],
                "`credential_source.certificate` is not supported"
            ),
            ([:], "field `credential_source.file` or `url` must be there, and not both"),
            (
                ["file": "/a", "url": "https://a.example"],
                "field `credential_source.file` or `url` must be there, and not both"
            ),
            (["url": "http://a.example/token"], "field `credential_source.url` must be an https URL"),
            (["file": 5], "field `credential_source.file` must be a string"),
            (
                ["file": "/a", "format": ["type": "xml"]],
                "field `credential_source.format.type` must be `text` or `json`"
            ),
            (
                ["file": "/a", "format": ["type": "json"]],
                "field `credential_source.format.subject_token_field_name` is missing"
            ),
            (
                ["url": "https://a.example", "headers": ["X": "a\r\nY: b"]],
                "field `credential_source.headers` has a name or value"
            ),
            (
                ["url": "https://a.example", "headers": ["X": 1]],
                "field `credential_source.headers.X` must be a string"
            ),
        ] as [([String: any Sendable], String)])
    func refusesSourcesThatItCannotRead(source: [String: any Sendable], reason: String) async throws {
        let fixture = try CredentialFixture()
        try fixture.write(fixture.externalAccount(source))

        let error = try #require(try await fixture.failure())

        #expect(error.message.contains(reason))
        #expect(error.description.contains(CredentialFixture.file))
        #expect(fixture.server.requests.isEmpty)
    }
}
