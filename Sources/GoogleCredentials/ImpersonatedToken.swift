import FoundationEssentials
import HTTPTransport
import JobRuntime

/// Requests a service account's token with the token of another identity that has permission to do so
/// (`roles/iam.serviceAccountTokenCreator`).
struct ImpersonatedToken: AccessTokenSource {
    private static let pathBeforeAccount = "/v1/projects/-/serviceAccounts/"
    private static let pathAfterAccount = ":generateAccessToken"
    /// The lifetimes that IAM grants, in seconds. IAM grants more than an hour only if the organization's policy allows
    /// it.
    private static let lifetimes: ClosedRange<Int> = 600...43_200

    private struct Body: Encodable {
        var delegates: [String]
        var scope: [String]
        var lifetime: String
    }

    private let source: any AccessTokenSource
    private let sourceQuotaProject: String?
    private let account: String
    private let endpoint: EndpointURL
    private let body: Body
    private let exchange: TokenExchange

    var origin: String { "impersonation of \(account) with the \(source.origin)" }

    /// `file` is the file that contains `service_account_impersonation_url`.
    init(
        _ file: CredentialFile, source: any AccessTokenSource, sourceQuotaProject: String?, scope: String,
        exchange: TokenExchange
    ) throws(CredentialsError) {
        let field = "service_account_impersonation_url"
        endpoint = try file.endpoint(field)
        let path = endpoint.plainPath ?? ""
        account = String(path.dropFirst(Self.pathBeforeAccount.count).dropLast(Self.pathAfterAccount.count))
        guard path == Self.pathBeforeAccount + account + Self.pathAfterAccount, Self.isAccount(account) else {
            throw file.invalid(field, "must end with \(Self.pathBeforeAccount)EMAIL\(Self.pathAfterAccount)")
        }
        let options = try file.optionalObject("service_account_impersonation")
        let lifetime = try options?.integer("token_lifetime_seconds") ?? 3600
        guard Self.lifetimes.contains(lifetime) else {
            throw file.invalid("service_account_impersonation.token_lifetime_seconds", "must be from 600 to 43200")
        }
        body = Body(delegates: try file.strings("delegates"), scope: [scope], lifetime: "\(lifetime)s")
        self.source = source
        self.sourceQuotaProject = sourceQuotaProject
        self.exchange = exchange
    }

    func fetchToken() async throws -> AccessToken {
        let token = try await source.fetchToken()
        var headers: HTTPHeaders = ["Authorization": "Bearer \(token.value)", "Content-Type": "application/json"]
        headers["x-goog-user-project"] = sourceQuotaProject
        let request = HTTPRequest(
            .post, endpoint.text, headers: headers, body: try JSONEncoder().encode(body), timeout: .seconds(30))
        let operation = "asking \(endpoint.shown) to impersonate \(account) with the \(source.origin)"
        let response = try await exchange.send(request, secrets: [Secret(token.value)], operation: operation)
        return try TokenReply(response, operation: operation).impersonatedToken()
    }

    /// Whether the text identifies a service account. IAM accepts the address or the number of the account.
    private static func isAccount(_ text: String) -> Bool {
        ServiceAccountEmail.isValid(text) || !text.isEmpty && text.utf8.allSatisfy(\.isDigit)
    }
}

/// Checks the address of a service account, as far as possible without a request: plain ASCII, safe in a URL and in a
/// log line.
enum ServiceAccountEmail {
    static func isValid(_ text: some StringProtocol) -> Bool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, text.utf8.count <= 254 else { return false }
        return !parts[0].isEmpty && parts[0].utf8.allSatisfy { $0.isWordCharacter || ".+-".utf8.contains($0) }
            && parts[1].contains(".") && !parts[1].contains("_")
            && parts[1].utf8.allSatisfy { $0.isWordCharacter || ".-".utf8.contains($0) }
    }
}
