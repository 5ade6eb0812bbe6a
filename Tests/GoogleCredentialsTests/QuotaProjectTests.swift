import GoogleCredentials
import TestSupport
import Testing

@Suite struct CredentialsQuotaProjectTests {
    @Test(
        arguments: [
            (nil, nil, nil), (nil, "acme-file", "acme-file"), ("acme-env", "acme-file", "acme-env"),
            ("", "example.com:acme", "example.com:acme"), ("acme-env", nil, "acme-env"),
        ] as [(String?, String?, String?)])
    func theVariablesQuotaProjectWins(variable: String?, file: String?, expected: String?) throws {
        let fixture = try CredentialFixture()
        try fixture.write(fixture.authorizedUser(["quota_project_id": file]))

        let found = try fixture.find([
            "GOOGLE_APPLICATION_CREDENTIALS": CredentialFixture.file, "GOOGLE_CLOUD_QUOTA_PROJECT": variable ?? "",
        ])

        #expect(found.quotaProject == expected)
    }

    @Test func aQuotaProjectThatIsNoProjectIsRefused() async throws {
        let fixture = try CredentialFixture()
        try fixture.write(fixture.authorizedUser(["quota_project_id": "a\r\nX: y"]))

        let inFile = try await fixture.failure()
        let inVariable = try await fixture.failure(["GOOGLE_CLOUD_QUOTA_PROJECT": "a b"])

        #expect(inFile?.message == "field `quota_project_id` is not a project id")
        #expect(inVariable?.message == "GOOGLE_CLOUD_QUOTA_PROJECT is not a project id")
    }
}
