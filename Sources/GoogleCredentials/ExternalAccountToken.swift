import FoundationEssentials
import HTTPTransport
import JobRuntime

/// Exchanges the token of another identity provider at Google's Security Token Service (workload identity federation).
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
            // If there is a client, the client's own project takes the place of the workforce pool's project.
            let options = try JSONEncoder().encode(["userProject": workforceProject])
            form.append((name: "options", value: String(decoding: options, as: UTF8.self)))
        }
        return try await exchange.token(
            from: endpoint, form: form, headers: headers, secrets: [token] + (client.map { [$0.secret] } ?? []),
            operation: "asking \(endpoint.shown) for an access token for the \(origin)")
    }
}

/// The token of another identity provider, from a file or a local server, as `credential_source` says. Every use reads
/// it again, because the provider renews it there.
struct SubjectToken: Sendable {
    private enum Place: Sendable {
        case file(String)
        case url(EndpointURL, headers: [(name: String, value: Secret)])
    }

    /// The address of Azure's metadata server, where Azure virtual machines get their tokens.
    private static let linkLocal: Set<String> = ["169.254.169.254"]

    private let place: Place
    /// The member of a JSON document that holds the token; `nil` if the whole text is the token.
    private let field: String?
    private let exchange: TokenExchange
    private let readFile: @Sendable (String) throws -> Data?

    init(
        _ file: CredentialFile, exchange: TokenExchange, readFile: @escaping @Sendable (String) throws -> Data?
    ) throws(CredentialsError) {
        for kind in ["executable", "environment_id", "certificate"] where file.has(kind) {
            throw file.notSupported("`credential_source.\(kind)` is not supported; use a `file` or `url` source")
        }
        guard file.has("file") != file.has("url") else {
            throw file.invalid("file", "or `url` must be there, and not both")
        }
        if file.has("file") {
            place = .file(try file.string("file"))
        } else {
            guard let url = EndpointURL(try file.string("url"), plainHTTPAlsoTo: Self.linkLocal) else {
                throw file.invalid("url", EndpointURL.rule)
            }
            place = .url(url, headers: try Self.headers(of: file))
        }
        field = try Self.field(of: file)
        self.exchange = exchange
        self.readFile = readFile
    }

    func fetch() async throws -> Secret {
        let content: Data
        let operation: String
        switch place {
        case .file(let path):
            operation = "reading the subject token in \(path)"
            content = try CredentialSearch.content(of: path, readFile: readFile, operation: operation)
        case .url(let url, let headers):
            operation = "asking \(url.shown) for the subject token"
            var request = HTTPRequest(.get, url.text, timeout: .seconds(30))
            for header in headers { request.headers.append(header.value.value, for: header.name) }
            content = try await exchange.send(request, secrets: headers.map(\.value), operation: operation).body
        }
        guard let token = token(in: content) else {
            let what = field.map { "a JSON object with a string `\($0)`" } ?? "a token"
            throw CredentialsError(.invalidResponse, operation: operation, message: "it is not \(what)")
        }
        return Secret(token)
    }

    /// Returns the token without the line break that a text editor or `echo` leaves at the end.
    private func token(in content: Data) -> String? {
        let whole = field.map { JSONValue.members(of: content)?[$0]?.text } ?? String(data: content, encoding: .utf8)
        guard var token = whole?.drop(while: \.isWhitespace) else { return nil }
        while token.last?.isWhitespace == true { token.removeLast() }
        return token.isEmpty ? nil : String(token)
    }

    private static func field(of file: CredentialFile) throws(CredentialsError) -> String? {
        guard let format = try file.optionalObject("format") else { return nil }
        switch try format.optionalString("type") ?? "text" {
        case "text": return nil
        case "json": return try format.string("subject_token_field_name")
        default: throw format.invalid("type", "must be `text` or `json`")
        }
    }

    private static func headers(of file: CredentialFile) throws(CredentialsError) -> [(name: String, value: Secret)] {
        guard let object = try file.optionalObject("headers") else { return [] }
        var headers: [(name: String, value: Secret)] = []
        for header in try object.allStrings() {
            guard header.name.utf8.allSatisfy({ 0x21...0x7e ~= $0 && $0 != UInt8(ascii: ":") }), !header.name.isEmpty,
                header.value.utf8.allSatisfy({ 0x20...0x7e ~= $0 })
            else { throw file.invalid("headers", "has a name or value that no HTTP header can have") }
            headers.append((header.name, Secret(header.value)))
        }
        return headers
    }
}
