import JobRuntime

/// Exchanges a refresh token for an access token. The refresh token is a person's consent, as `gcloud auth
/// application-default login` stores it.
struct AuthorizedUserToken: AccessTokenSource {
    private static let advice = "run `gcloud auth application-default login`"

    private let clientID: String
    private let clientSecret: Secret
    private let refreshToken: Secret
    private let endpoint: EndpointURL
    private let exchange: TokenExchange
    let origin: String

    init(_ file: CredentialFile, exchange: TokenExchange) throws(CredentialsError) {
        clientID = try file.string("client_id", advice: Self.advice)
        clientSecret = Secret(try file.string("client_secret", advice: Self.advice))
        refreshToken = Secret(try file.string("refresh_token", advice: Self.advice))
        endpoint = try file.endpoint("token_uri", default: "https://oauth2.googleapis.com/token")
        self.exchange = exchange
        origin = "authorized user file \(file.path)"
    }

    func fetchToken() async throws -> AccessToken {
        let form = [
            (name: "grant_type", value: "refresh_token"),
            (name: "client_id", value: clientID),
            (name: "client_secret", value: clientSecret.value),
            (name: "refresh_token", value: refreshToken.value),
        ]
        return try await exchange.token(
            from: endpoint, form: form, secrets: [clientSecret, refreshToken],
            operation: "asking \(endpoint.shown) for an access token for the \(origin)")
    }
}
