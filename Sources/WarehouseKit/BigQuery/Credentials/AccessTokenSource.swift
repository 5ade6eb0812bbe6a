/// One way of getting an access token. Each call asks anew: ``CachedAccessToken`` is what keeps a token.
package protocol AccessTokenSource: Sendable {
    /// Throws ``CredentialsError``, after the retries that the token server asks for.
    func fetchToken() async throws -> AccessToken

    /// Where the credentials are from, for a log line; never a secret.
    var origin: String { get }
}
