import Foundation
import GoogleCredentials
import HTTPTransport
import JobRuntime
import Synchronization
import TestSupport

/// Credential files in memory, a token server on the loopback, a clock that the test sets and the pauses that were
/// asked for.
final class CredentialFixture: Sendable {
    static let file = "/keys/credentials.json"
    static let start = Timestamp("2026-01-31T00:00:00Z")!

    let server: ScriptedServer
    private let files = Mutex<[String: Data]>([:])
    private let clock = Mutex(CredentialFixture.start)
    private let recorded = Mutex<[Duration]>([])
    private let transport = CurlTransport()

    init(replies: [ScriptedReply] = []) throws {
        server = try ScriptedServer(replies: replies)
    }

    init(_ handler: @escaping ScriptedServer.Handler) throws {
        server = try ScriptedServer(handler)
    }

    var pauses: [Duration] { recorded.withLock { $0 } }

    @Sendable func now() -> Timestamp { clock.withLock { $0 } }

    func advance(by duration: Duration) {
        clock.withLock { $0 = $0.adding(duration) }
    }

    func write(_ text: String, to path: String = CredentialFixture.file) {
        files.withLock { $0[path] = Data(text.utf8) }
    }

    func write(_ object: [String: Any], to path: String = CredentialFixture.file) throws {
        let data = try JSONSerialization.data(withJSONObject: object)
        files.withLock { $0[path] = data }
    }

    /// With no environment given, the credentials in ``file``.
    func find(
        _ environment: [String: String] = ["GOOGLE_APPLICATION_CREDENTIALS": CredentialFixture.file],
        over other: (any HTTPTransport)? = nil
    ) throws -> ApplicationDefaultCredentials {
        let time = TimeSource(elapsed: { .zero }, sleep: { pause in self.recorded.withLock { $0.append(pause) } })
        return try ApplicationDefaultCredentials.find(
            environment: environment, transport: other ?? transport, now: now, time: time,
            readFile: { path in self.files.withLock { $0[path] } })
    }

    /// What a whole attempt fails with, be it in finding or in fetching.
    func failure(
        _ environment: [String: String] = ["GOOGLE_APPLICATION_CREDENTIALS": CredentialFixture.file],
        over other: (any HTTPTransport)? = nil
    ) async throws -> CredentialsError? {
        do {
            _ = try await find(environment, over: other).fetchToken()
            return nil
        } catch let error as CredentialsError {
            return error
        }
    }
}

extension CredentialFixture {
    static let clientSecret = "GOCSPX-client-secret-1234"
    static let refreshToken = "1//refresh+token&56=78% ü"

    func serviceAccount(_ changes: [String: Any?] = [:]) -> [String: Any] {
        let object: [String: Any] = [
            "type": "service_account", "project_id": "acme-prod", "private_key_id": "key-7",
            "private_key": TestKey.rsa.pem, "client_email": "jobs@acme-prod.iam.gserviceaccount.com",
            "client_id": "1234567890", "token_uri": "\(server.url)/token",
        ]
        return object.merging(changes.compactMapValues { $0 }) { $1 }.filter {
            changes[$0.key].map { $0 != nil } ?? true
        }
    }

    func authorizedUser(_ changes: [String: Any?] = [:]) -> [String: Any] {
        let object: [String: Any] = [
            "type": "authorized_user", "client_id": "764.apps.googleusercontent.com",
            "client_secret": Self.clientSecret, "refresh_token": Self.refreshToken, "token_uri": "\(server.url)/token",
        ]
        return object.merging(changes.compactMapValues { $0 }) { $1 }.filter {
            changes[$0.key].map { $0 != nil } ?? true
        }
    }

    func externalAccount(_ source: [String: Any], _ more: [String: Any] = [:]) -> [String: Any] {
        let object: [String: Any] = [
            "type": "external_account", "token_url": "\(server.url)/sts", "credential_source": source,
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        ]
        return object.merging(more) { $1 }
    }

    var impersonationURL: String {
        "\(server.url)/v1/projects/-/serviceAccounts/target@acme-prod.iam.gserviceaccount.com:generateAccessToken"
    }
}
