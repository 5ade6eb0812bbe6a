import COpenSSL
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

    /// The error of a whole attempt, which finds the credentials and fetches a token.
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

/// A private key made for this run of the tests, as PEM, and the check of what it signs.
final class TestKey: @unchecked Sendable {
    static let rsa = TestKey(EVP_PKEY_RSA)
    static let ellipticCurve = TestKey(EVP_PKEY_EC)

    private let key: OpaquePointer

    private init(_ type: Int32) {
        let context = EVP_PKEY_CTX_new_id(type, nil)
        defer { EVP_PKEY_CTX_free(context) }
        precondition(EVP_PKEY_keygen_init(context) == 1)
        if type == EVP_PKEY_RSA { precondition(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048) == 1) }
        if type == EVP_PKEY_EC {
            precondition(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) == 1)
        }
        var key: OpaquePointer?
        precondition(EVP_PKEY_keygen(context, &key) == 1)
        self.key = key!
    }

    /// PKCS #8, as in a service account's key file.
    var pem: String { text { PEM_write_bio_PKCS8PrivateKey($0, self.key, nil, nil, 0, nil, nil) } }

    /// PKCS #1, the older form.
    var traditionalPEM: String {
        text { PEM_write_bio_PrivateKey_traditional($0, self.key, nil, nil, 0, nil, nil) }
    }

    var encryptedPEM: String {
        let phrase = Array("open sesame".utf8CString)
        return text { PEM_write_bio_PKCS8PrivateKey($0, self.key, EVP_aes_256_cbc(), phrase, 11, nil, nil) }
    }

    var publicPEM: String { text { PEM_write_bio_PUBKEY($0, self.key) } }

    /// Whether OpenSSL takes it for an RS256 signature of the message by this key.
    func verifies(_ signature: Data, of message: String) -> Bool {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestVerifyInit(context, nil, EVP_sha256(), nil, key) == 1 else { return false }
        let bytes = Array(message.utf8)
        return EVP_DigestVerify(context, Array(signature), signature.count, bytes, bytes.count) == 1
    }

    private func text(_ write: (OpaquePointer?) -> Int32) -> String {
        let sink = BIO_new(BIO_s_mem())
        defer { BIO_free(sink) }
        precondition(write(sink) == 1)
        var buffer = [CChar](repeating: 0, count: 16_384)
        let count = BIO_read(sink, &buffer, Int32(buffer.count))
        return String(decoding: buffer.prefix(Int(count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

extension ScriptedReply {
    static func token(_ value: String = "ya29.access", expiresIn: String = "3599") -> ScriptedReply {
        .json(#"{"access_token": "\#(value)", "expires_in": \#(expiresIn), "token_type": "Bearer"}"#)
    }

    static func impersonated(_ value: String = "ya29.impersonated") -> ScriptedReply {
        .json(#"{"accessToken": "\#(value)", "expireTime": "2026-01-31T01:00:00.123456789Z"}"#)
    }
}

extension ScriptedRequest {
    /// The fields of a form, decoded.
    var form: [String: String] {
        var asQuery = self
        asQuery.target = "/?\(text)"
        return asQuery.query
    }

    var json: [String: Any] { (try? JSONSerialization.jsonObject(with: body)) as? [String: Any] ?? [:] }
}

/// A network without the host that is asked for: what no server on the loopback can show.
struct FailingTransport: HTTPTransport {
    var code = HTTPTransportError.Code.nameNotResolved

    func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        throw HTTPTransportError(code, operation: "GET host/path", message: "Could not resolve host")
    }
}

/// A source whose fetches wait until the test lets them go, or until they are cancelled.
final class HeldFetch: AccessTokenSource {
    let origin = "test"
    private let counts = Mutex((begun: 0, cancelled: 0))
    private let gate = AsyncStream.makeStream(of: Never.self)
    private let beginning = AsyncStream.makeStream(of: Void.self)
    private let cancellation = AsyncStream.makeStream(of: Void.self)

    var begun: Int { counts.withLock { $0.begun } }
    var cancelled: Int { counts.withLock { $0.cancelled } }

    func release() { gate.continuation.finish() }

    func hasBegun() async {
        for await _ in beginning.stream { return }
    }

    func wasCancelled() async {
        for await _ in cancellation.stream { return }
    }

    func fetchToken() async throws -> AccessToken {
        let number = counts.withLock { counts in
            counts.begun += 1
            return counts.begun
        }
        beginning.continuation.yield()
        // Ends when the stream does, and when the task is cancelled.
        for await _ in gate.stream {}
        if Task.isCancelled {
            counts.withLock { $0.cancelled += 1 }
            cancellation.continuation.yield()
            throw CancellationError()
        }
        return AccessToken(value: "token-\(number)", expiresAt: CredentialFixture.start.adding(.seconds(3600)))
    }
}

/// A source whose fetches end when the test says so, and take no notice of being cancelled.
final class DeafFetch: AccessTokenSource {
    let origin = "test"
    private let pending = Mutex<[CheckedContinuation<AccessToken, any Error>]>([])
    private let beginning = AsyncStream.makeStream(of: Void.self)

    func hasBegun() async {
        for await _ in beginning.stream { return }
    }

    func answer(_ number: Int, with token: String) {
        let fetch = pending.withLock { $0[number] }
        fetch.resume(
            returning: AccessToken(value: token, expiresAt: CredentialFixture.start.adding(.seconds(3600))))
    }

    func fetchToken() async throws -> AccessToken {
        try await withCheckedThrowingContinuation { fetch in
            pending.withLock { $0.append(fetch) }
            beginning.continuation.yield()
        }
    }
}
