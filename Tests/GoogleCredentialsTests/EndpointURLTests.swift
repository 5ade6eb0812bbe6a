import GoogleCredentials
import TestSupport
import Testing

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
