import JobRuntime

/// A service account's key file: an assertion signed with the key is exchanged for a token.
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
