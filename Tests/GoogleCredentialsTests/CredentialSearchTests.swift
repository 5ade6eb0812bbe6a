import Foundation
import GoogleCredentials
import JobRuntime
import TestSupport
import Testing

@Suite struct CredentialsSearchTests {
    private static let gcloud = "/home/ada/.config/gcloud/application_default_credentials.json"
    private static let variable = "GOOGLE_APPLICATION_CREDENTIALS"

    @Test func theVariableComesBeforeGcloudsFile() throws {
        let fixture = try CredentialFixture()
        try fixture.write(fixture.authorizedUser(), to: Self.gcloud)
        try fixture.write(fixture.serviceAccount(), to: "/keys/sa.json")

        let named = try fixture.find([Self.variable: "/keys/sa.json", "HOME": "/home/ada"])
        let empty = try fixture.find([Self.variable: "", "HOME": "/home/ada"])

        #expect(named.origin.hasPrefix("service account key file /keys/sa.json"))
        #expect(empty.origin == "authorized user file \(Self.gcloud)")
    }

    @Test func gcloudsFolderCanBeElsewhere() throws {
        let fixture = try CredentialFixture()
        try fixture.write(fixture.authorizedUser(), to: Self.gcloud)
        try fixture.write(fixture.authorizedUser(), to: "/etc/gcloud/application_default_credentials.json")

        let found = try fixture.find(["CLOUDSDK_CONFIG": "/etc/gcloud", "HOME": "/home/ada"])

        #expect(found.origin == "authorized user file /etc/gcloud/application_default_credentials.json")
    }

    @Test func theMetadataServerComesLast() throws {
        let fixture = try CredentialFixture()

        let found = try fixture.find(["HOME": "/home/ada"])

        #expect(found.origin == "metadata server metadata.google.internal")
        #expect(fixture.server.requests.isEmpty)
    }

    @Test func saysWhereItLookedWhenThereIsNothing() async throws {
        let fixture = try CredentialFixture()

        let error = try #require(try await fixture.failure(["NO_GCE_CHECK": "true"]))

        #expect(error.code == .notFound)
        #expect(error.message.contains("run `gcloud auth application-default login`"))
    }

    @Test func aNamedFileThatIsMissingIsAnError() async throws {
        let fixture = try CredentialFixture()
        try fixture.write(fixture.authorizedUser(), to: Self.gcloud)

        let error = try #require(try await fixture.failure([Self.variable: "/keys/none.json", "HOME": "/home/ada"]))

        #expect(error.code == .unreadableFile)
        #expect(
            error.description == "reading the Google credentials in /keys/none.json (GOOGLE_APPLICATION_CREDENTIALS): "
                + "there is no such file")
    }

    @Test func readsRealFilesAndSaysWhyItCannot() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let fixture = try CredentialFixture()
        let good = folder.appending(path: "good.json").path
        try JSONSerialization.data(withJSONObject: fixture.authorizedUser()).write(to: URL(filePath: good))
        let large = folder.appending(path: "large.json").path
        try Data(count: 1 << 20 + 1).write(to: URL(filePath: large))

        #expect(try find(good).origin == "authorized user file \(good)")
        for (path, reason) in [
            (folder.path, "Is a directory"), (large, "it is larger than 1 MiB"), ("\(good)/x", "there is no such file"),
        ] {
            let error = try #require(throws: CredentialsError.self) { try find(path) }
            #expect(error.code == .unreadableFile)
            #expect(error.message == reason)
        }
    }

    private func find(_ path: String) throws -> ApplicationDefaultCredentials {
        try ApplicationDefaultCredentials.find(
            environment: [Self.variable: path], transport: FailingTransport(), now: { CredentialFixture.start })
    }

    @Test func theKeyItselfInTheVariableIsNotShown() async throws {
        let fixture = try CredentialFixture()
        let json = String(decoding: try JSONSerialization.data(withJSONObject: fixture.serviceAccount()), as: UTF8.self)

        for value in [json, Data(json.utf8).base64EncodedString(), TestKey.rsa.pem] {
            let error = try #require(try await fixture.failure([Self.variable: value]))
            #expect(
                error.description == "looking for Google credentials: GOOGLE_APPLICATION_CREDENTIALS must be the path "
                    + "of a credential file, not its content")
        }
    }
}

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
