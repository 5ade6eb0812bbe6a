import FoundationEssentials
import HTTPTransport

/// Requests the token of the service account that a Cloud Run job, a virtual machine, or a pod runs as (fact IAM-06).
struct MetadataServerToken: AccessTokenSource {
    private static let usualHost = "metadata.google.internal"
    private static let path = "/computeMetadata/v1/instance/service-accounts/default/token"

    private let host: String
    /// Whether a metadata server certainly exists: on Cloud Run, or if the host is named. Elsewhere, a request finds
    /// out.
    private let isExpected: Bool
    private let scope: String
    private let exchange: TokenExchange

    var origin: String { "metadata server \(host)" }

    init(environment: [String: String], scope: String, exchange: TokenExchange) throws(CredentialsError) {
        let named = environment["GCE_METADATA_HOST"].flatMap { $0.isEmpty ? nil : $0 }
        host = named ?? Self.usualHost
        guard (try? HTTPURL("http://\(host)", refusing: [.path, .query, .fragment])) != nil else {
            throw CredentialsError(
                .notFound, operation: "looking for Google credentials",
                message: "GCE_METADATA_HOST must be HOST or HOST:PORT")
        }
        isExpected = named != nil || environment["CLOUD_RUN_JOB"] != nil || environment["K_SERVICE"] != nil
        self.scope = scope
        self.exchange = exchange
    }

    func fetchToken() async throws -> AccessToken {
        let query = formEncoded([(name: "scopes", value: scope)])
        let request = HTTPRequest(
            .get, "http://\(host)\(Self.path)?\(query)", headers: ["Metadata-Flavor": "Google"], timeout: .seconds(10))
        let operation = "asking the \(origin) for an access token"
        let asked = exchange.now()
        let response = try await answer(to: request, operation: operation)
        guard response.headers["Metadata-Flavor"] == "Google" else {
            throw CredentialsError(
                .invalidResponse, operation: operation,
                message: "the answer has no `Metadata-Flavor: Google`, so it is from something else, such as a proxy")
        }
        return try TokenReply(response, operation: operation).token(asked: asked)
    }

    private func answer(to request: HTTPRequest, operation: String) async throws -> HTTPResponse {
        do {
            return try await exchange.send(request, secrets: [], operation: operation, attempts: isExpected ? 5 : 3)
        } catch let error as CredentialsError where error.code == .unavailable && !isExpected {
            throw CredentialSearch.nothingFound(error.message)
        }
    }
}
