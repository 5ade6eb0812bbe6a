import FoundationEssentials

/// Turns a credential file into the source that its `type` names.
struct CredentialKinds {
    /// What a token needs to ask for another service account's.
    private static let impersonationScope = "https://www.googleapis.com/auth/cloud-platform"
    private static let unsupported: Set<String> = ["external_account_authorized_user", "gdch_service_account"]

    let exchange: TokenExchange
    let readFile: @Sendable (String) throws -> Data?

    func source(in file: CredentialFile, scope: String) throws(CredentialsError) -> any AccessTokenSource {
        try checkUniverse(of: file)
        let type = try self.type(of: file)
        switch type {
        case "service_account":
            return try ServiceAccountToken(file, scope: scope, exchange: exchange)
        case "authorized_user":
            return try AuthorizedUserToken(file, exchange: exchange)
        case "impersonated_service_account":
            return try impersonated(file, scope: scope)
        case "external_account":
            return try external(file, scope: scope)
        case _ where Self.unsupported.contains(type):
            throw file.notSupported("credentials of type `\(type)` are not supported; use a service account")
        default:
            throw file.invalid("type", "is not a type of credentials that Google's clients know")
        }
    }

    static func quotaProject(of file: CredentialFile) throws(CredentialsError) -> String? {
        guard let project = try file.optionalString("quota_project_id"), !project.isEmpty else { return nil }
        guard isProject(project) else { throw file.invalid("quota_project_id", "is not a project id") }
        return project
    }

    /// Also `example.com:project`, the older form.
    static func isProject(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 100
            && text.utf8.allSatisfy { 97...122 ~= $0 || 48...57 ~= $0 || "-.:".utf8.contains($0) }
    }

    private func type(of file: CredentialFile) throws(CredentialsError) -> String {
        if !file.has("type"), file.has("installed") || file.has("web") {
            throw file.invalid(
                "type", "is missing: this is an OAuth client, not credentials",
                "run `gcloud auth application-default login --client-id-file` with it")
        }
        return try file.string("type", advice: "the file must be credentials as Google Cloud or gcloud wrote them")
    }

    private func impersonated(_ file: CredentialFile, scope: String) throws(CredentialsError) -> any AccessTokenSource {
        let inner = try file.object("source_credentials")
        return try ImpersonatedToken(
            file, source: source(in: inner, scope: Self.impersonationScope),
            sourceQuotaProject: Self.quotaProject(of: inner), scope: scope, exchange: exchange)
    }

    private func external(_ file: CredentialFile, scope: String) throws(CredentialsError) -> any AccessTokenSource {
        guard file.has("service_account_impersonation_url") else {
            return try ExternalAccountToken(file, scope: scope, exchange: exchange, readFile: readFile)
        }
        let federated = try ExternalAccountToken(
            file, scope: Self.impersonationScope, exchange: exchange, readFile: readFile)
        return try ImpersonatedToken(
            file, source: federated, sourceQuotaProject: nil, scope: scope, exchange: exchange)
    }

    /// Other universes have other hosts for BigQuery and want the assertion itself as the token.
    private func checkUniverse(of file: CredentialFile) throws(CredentialsError) {
        guard let universe = try file.optionalString("universe_domain"), universe != "googleapis.com" else { return }
        throw file.notSupported("`universe_domain` is not googleapis.com, and no other one is supported")
    }
}
