import FoundationEssentials
import HTTPTransport
import JobRuntime

/// Workload identity federation: the token of another identity provider is exchanged at Google's Security Token
/// Service.
struct ExternalAccountToken: AccessTokenSource {
    private let subject: SubjectToken
    private let subjectType: String
    private let audience: String
    private let endpoint: EndpointURL
    private let client: (id: String, secret: Secret)?
    private let workforceProject: String?
    private let scope: String
    private let exchange: TokenExchange
    let origin: String

    init(
        _ file: CredentialFile, scope: String, exchange: TokenExchange,
        readFile: @escaping @Sendable (String) throws -> Data?
    ) throws(CredentialsError) {
        audience = try file.string("audience")
        subjectType = try file.string("subject_token_type")
        endpoint = try file.endpoint("token_url", default: "https://sts.googleapis.com/v1/token")
        subject = try SubjectToken(file.object("credential_source"), exchange: exchange, readFile: readFile)
        if let id = try file.optionalString("client_id") {
            client = (id, Secret(try file.optionalString("client_secret") ?? ""))
        } else {
            client = nil
        }
        workforceProject = try file.optionalString("workforce_pool_user_project")
        self.scope = scope
        self.exchange = exchange
        origin = "workload identity federation file \(file.path)"
    }

    func fetchToken() async throws -> AccessToken {
        let token = try await subject.fetch()
        var form = [
            (name: "grant_type", value: "urn:ietf:params:oauth:grant-type:token-exchange"),
            (name: "audience", value: audience),
            (name: "scope", value: scope),
            (name: "requested_token_type", value: "urn:ietf:params:oauth:token-type:access_token"),
            (name: "subject_token", value: token.value),
            (name: "subject_token_type", value: subjectType),
        ]
        var headers: HTTPHeaders = [:]
        if let client {
            headers["Authorization"] = "Basic " + Data("\(client.id):\(client.secret.value)".utf8).base64EncodedString()
        } else if let workforceProject {
            // A client's own project stands for the workforce pool's when there is a client.
            let options = try JSONEncoder().encode(["userProject": workforceProject])
            form.append((name: "options", value: String(decoding: options, as: UTF8.self)))
        }
        return try await exchange.token(
            from: endpoint, form: form, headers: headers, secrets: [token] + (client.map { [$0.secret] } ?? []),
            operation: "asking \(endpoint.shown) for an access token for the \(origin)")
    }
}
