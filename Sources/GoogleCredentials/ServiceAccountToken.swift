import COpenSSL
import FoundationEssentials
import JobRuntime

/// Exchanges an assertion for a token. The assertion is signed with the key from a service account's key file.
struct ServiceAccountToken: AccessTokenSource {
    private static let advice =
        "the file must be a service account's JSON key as Google Cloud gave it; download a new one"

    private let email: String
    private let keyID: String?
    private let key: RSAPrivateKey
    private let endpoint: EndpointURL
    private let scope: String
    private let exchange: TokenExchange
    let origin: String

    init(_ file: CredentialFile, scope: String, exchange: TokenExchange) throws(CredentialsError) {
        email = try file.string("client_email", advice: Self.advice)
        guard ServiceAccountEmail.isValid(email) else {
            throw file.invalid("client_email", "is not a service account's address", Self.advice)
        }
        keyID = try file.optionalString("private_key_id")
        endpoint = try file.endpoint("token_uri", default: "https://oauth2.googleapis.com/token")
        let pem = try file.string("private_key", advice: Self.advice)
        do {
            key = try RSAPrivateKey(pem: pem)
        } catch {
            throw file.invalid("private_key", Self.reason(error), Self.advice)
        }
        self.scope = scope
        self.exchange = exchange
        origin = "service account key file \(file.path) (\(email))"
    }

    func fetchToken() async throws -> AccessToken {
        let assertion = try assertion()
        let form = [
            (name: "grant_type", value: "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            (name: "assertion", value: assertion.value),
        ]
        return try await exchange.token(
            from: endpoint, form: form, secrets: [assertion],
            operation: "asking \(endpoint.shown) for an access token for \(email)")
    }

    private func assertion() throws -> Secret {
        do {
            let assertion = try SignedAssertion(
                email: email, keyID: keyID, key: key, scope: scope, audience: endpoint.text, at: exchange.now())
            return Secret(assertion.text)
        } catch let failure as RSAPrivateKey.Failure {
            throw CredentialsError(
                .invalidFile, operation: "signing with the \(origin)",
                message: "field `private_key` \(Self.reason(failure)); \(Self.advice)")
        }
    }

    private static func reason(_ failure: RSAPrivateKey.Failure) -> String {
        switch failure {
        case .notPEM: "is not a private key in PEM form (are its line breaks still `\\n`?)"
        case .encrypted: "is protected with a pass phrase, which a job cannot type"
        case .notRSA: "is not an RSA key"
        case .signing: "is a key with which OpenSSL cannot sign"
        }
    }
}

/// The JSON Web Token with which a service account proves its identity to the token server.
struct SignedAssertion {
    private struct Header: Encodable {
        var alg = "RS256"
        var typ = "JWT"
        var kid: String?
    }

    private struct Claims: Encodable {
        var iss: String
        var scope: String
        var aud: String
        var iat: Int64
        var exp: Int64
    }

    /// The longest lifetime, in seconds, that the token server accepts for an assertion.
    private static let lifetime: Int64 = 3600

    let text: String

    init(email: String, keyID: String?, key: RSAPrivateKey, scope: String, audience: String, at instant: Timestamp)
        throws
    {
        let issued = instant.microseconds / 1_000_000
        let claims = Claims(iss: email, scope: scope, aud: audience, iat: issued, exp: issued + Self.lifetime)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        let signed =
            try Self.base64URL(encoder.encode(Header(kid: keyID))) + "." + Self.base64URL(encoder.encode(claims))
        text = try signed + "." + Self.base64URL(key.signature(of: Data(signed.utf8)))
    }

    private static func base64URL(_ data: Data) -> String {
        var text = ""
        for character in data.base64EncodedString() {
            switch character {
            case "+": text.append("-")
            case "/": text.append("_")
            case "=": break
            default: text.append(character)
            }
        }
        return text
    }
}

/// An RSA key that signs, held by OpenSSL.
///
/// The class is unchecked `Sendable`: the key never changes after it is read, and each signature has its own context.
final class RSAPrivateKey: @unchecked Sendable {
    enum Failure: Error {
        case notPEM
        case encrypted
        case notRSA
        case signing
    }

    private let key: OpaquePointer

    /// Reads a key in PKCS #8 (`PRIVATE KEY`) or PKCS #1 (`RSA PRIVATE KEY`).
    init(pem: String) throws(Failure) {
        // An error here must not stay in this thread's error queue, where libcurl's TLS would find it.
        defer { ERR_clear_error() }
        guard !pem.contains("ENCRYPTED") else { throw .encrypted }
        var text = pem
        let read = text.withUTF8 { bytes -> OpaquePointer? in
            guard let source = BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else { return nil }
            defer { BIO_free(source) }
            // Without a callback, OpenSSL would ask for a passphrase on the terminal.
            return PEM_read_bio_PrivateKey(source, nil, { _, _, _, _ in -1 }, nil)
        }
        guard let read else { throw .notPEM }
        guard EVP_PKEY_get_base_id(read) == EVP_PKEY_RSA else {
            EVP_PKEY_free(read)
            throw .notRSA
        }
        key = read
    }

    deinit { EVP_PKEY_free(key) }

    /// Signs the message with RSASSA-PKCS1-v1_5 and SHA-256, the `RS256` of JSON Web Tokens.
    func signature(of message: Data) throws(Failure) -> Data {
        defer { ERR_clear_error() }
        guard let context = EVP_MD_CTX_new() else { throw .signing }
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestSignInit(context, nil, EVP_sha256(), nil, key) == 1 else { throw .signing }
        let bytes = [UInt8](message)
        var length = 0
        guard EVP_DigestSign(context, nil, &length, bytes, bytes.count) == 1 else { throw .signing }
        var signature = [UInt8](repeating: 0, count: length)
        guard EVP_DigestSign(context, &signature, &length, bytes, bytes.count) == 1 else { throw .signing }
        return Data(signature.prefix(length))
    }
}
