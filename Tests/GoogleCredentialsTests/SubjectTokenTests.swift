import GoogleCredentials
import TestSupport
import Testing

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
