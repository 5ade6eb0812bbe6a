import Foundation
import GoogleCredentials
import HTTPTransport
import JobRuntime
import TestSupport
import Testing

@Suite struct CredentialsImpersonationTests {
    @Test func asksForTheOtherAccountsTokenWithItsOwn() async throws {
        let fixture = try CredentialFixture(replies: [.token("ya29.user"), .impersonated()])
        try fixture.write([
            "type": "impersonated_service_account", "delegates": ["projects/-/serviceAccounts/middle@acme.example"],
            "service_account_impersonation_url": fixture.impersonationURL,
            "source_credentials": fixture.authorizedUser(["quota_project_id": "acme-quota"]),
        ])

        let credentials = try fixture.find()
        let token = try await credentials.fetchToken()

        #expect(token.value == "ya29.impersonated")
        #expect(token.expiresAt == Timestamp("2026-01-31T01:00:00Z"))
        let requests = fixture.server.requests
        #expect(requests.count == 2)
        #expect(requests[1].method == "POST")
        #expect(fixture.server.url + requests[1].path == fixture.impersonationURL)
        #expect(requests[1].headers["Authorization"] == "Bearer ya29.user")
        #expect(requests[1].headers["x-goog-user-project"] == "acme-quota")
        #expect(requests[1].json["scope"] as? [String] == ["https://www.googleapis.com/auth/bigquery"])
        #expect(requests[1].json["delegates"] as? [String] == ["projects/-/serviceAccounts/middle@acme.example"])
        #expect(requests[1].json["lifetime"] as? String == "3600s")
        #expect(
            credentials.origin
                == "impersonation of target@acme-prod.iam.gserviceaccount.com with the "
                + "authorized user file \(CredentialFixture.file)"
        )
    }

    @Test func aKeyFilesAssertionThenAsksForTheCloudPlatform() async throws {
        let fixture = try CredentialFixture(replies: [.token("ya29.sa"), .impersonated()])
        try fixture.write([
            "type": "impersonated_service_account", "service_account_impersonation_url": fixture.impersonationURL,
            "source_credentials": fixture.serviceAccount(),
        ])

        _ = try await fixture.find().fetchToken()

        let assertion = try #require(fixture.server.requests.first?.form["assertion"])
        let claims = assertion.split(separator: ".")[1].replacingOccurrences(of: "-", with: "+")
            .replacingOccurrences(of: "_", with: "/")
        let decoded = try #require(Data(base64Encoded: claims + String(repeating: "=", count: -claims.count & 3)))
        #expect(
            String(decoding: decoded, as: UTF8.self).contains(
                #""scope":"https://www.googleapis.com/auth/cloud-platform""#))
    }

    @Test func passesOnWhatIAMSays() async throws {
        let answer = """
            {"error": {"code": 403, "status": "PERMISSION_DENIED",
            "message": "Permission 'iam.serviceAccounts.getAccessToken' denied"}}
            """
        let fixture = try CredentialFixture(replies: [.token("ya29.user"), .json(answer, status: 403)])
        try fixture.write([
            "type": "impersonated_service_account", "service_account_impersonation_url": fixture.impersonationURL,
            "source_credentials": fixture.authorizedUser(),
        ])

        let error = try #require(try await fixture.failure())

        #expect(error.code == .refused)
        #expect(
            error.message
                == "PERMISSION_DENIED: Permission 'iam.serviceAccounts.getAccessToken' denied (HTTP 403)")
        #expect(
            error.operation.contains("to impersonate target@acme-prod.iam.gserviceaccount.com with the authorized user")
        )
    }

    @Test(arguments: [
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/:generateAccessToken",
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b/c@d.example:generateAccessToken",
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a%0A@b.example:generateAccessToken",
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b.example:signBlob",
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b.example:generateAccessToken?x=1",
        "https://iamcredentials.googleapis.com/a@b.example:generateAccessToken",
        "https://iamcredentials.googleapis.com",
        "http://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b.example:generateAccessToken",
    ])
    func refusesAURLThatNamesNoServiceAccount(url: String) async throws {
        let fixture = try CredentialFixture()
        try fixture.write([
            "type": "impersonated_service_account", "service_account_impersonation_url": url,
            "source_credentials": fixture.authorizedUser(),
        ])

        let error = try #require(try await fixture.failure())

        #expect(error.code == .invalidFile)
        #expect(error.message.hasPrefix("field `service_account_impersonation_url` must "))
    }
}
