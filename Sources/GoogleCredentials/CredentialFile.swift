import FoundationEssentials
import Glibc
import HTTPTransport
import JobRuntime

/// One JSON object of a credential file. Every error names the file and the field and never shows a value.
struct CredentialFile {
    let path: String
    private let prefix: String
    private let members: [String: JSONValue]

    init(path: String, content: Data) throws(CredentialsError) {
        self.path = path
        prefix = ""
        guard let members = JSONValue.members(of: content) else {
            let what = content.isEmpty ? "the file is empty" : "the file is not a JSON object"
            throw Self.invalid(path, "\(what); download the key again, or run `gcloud auth application-default login`")
        }
        self.members = members
    }

    private init(path: String, prefix: String, members: [String: JSONValue]) {
        self.path = path
        self.prefix = prefix
        self.members = members
    }

    func has(_ name: String) -> Bool {
        if case .null? = members[name] { return false }
        return members[name] != nil
    }

    func string(_ name: String, advice: String? = nil) throws(CredentialsError) -> String {
        guard let text = try optionalString(name) else { throw invalid(name, "is missing", advice) }
        guard !text.isEmpty else { throw invalid(name, "is empty", advice) }
        return text
    }

    func optionalString(_ name: String) throws(CredentialsError) -> String? {
        guard has(name) else { return nil }
        guard let text = members[name]?.text else { throw invalid(name, "must be a string") }
        return text
    }

    func strings(_ name: String) throws(CredentialsError) -> [String] {
        guard has(name) else { return [] }
        guard case .array(let elements)? = members[name] else { throw invalid(name, "must be a list of strings") }
        var texts: [String] = []
        for element in elements {
            guard let text = element.text else { throw invalid(name, "must be a list of strings") }
            texts.append(text)
        }
        return texts
    }

    func integer(_ name: String) throws(CredentialsError) -> Int? {
        guard has(name) else { return nil }
        guard let number = members[name]?.wholeNumber else { throw invalid(name, "must be a whole number") }
        return number
    }

    func object(_ name: String) throws(CredentialsError) -> CredentialFile {
        guard let object = try optionalObject(name) else { throw invalid(name, "is missing") }
        return object
    }

    func optionalObject(_ name: String) throws(CredentialsError) -> CredentialFile? {
        guard has(name) else { return nil }
        guard let members = members[name]?.object else { throw invalid(name, "must be an object") }
        return CredentialFile(path: path, prefix: "\(prefix)\(name).", members: members)
    }

    /// Returns the object's strings, sorted by name.
    func allStrings() throws(CredentialsError) -> [(name: String, value: String)] {
        var texts: [(name: String, value: String)] = []
        for name in members.keys.sorted() { texts.append((name, try string(name))) }
        return texts
    }

    func endpoint(_ name: String, default fallback: String? = nil) throws(CredentialsError) -> EndpointURL {
        let text = if let fallback, !has(name) { fallback } else { try string(name) }
        guard let url = EndpointURL(text) else { throw invalid(name, EndpointURL.rule) }
        guard url.isGoogles else { throw invalid(name, "must be a host of Google's") }
        return url
    }

    func invalid(_ name: String, _ reason: String, _ advice: String? = nil) -> CredentialsError {
        Self.invalid(path, "field `\(prefix)\(name)` \(reason)" + (advice.map { "; \($0)" } ?? ""))
    }

    func notSupported(_ reason: String) -> CredentialsError {
        CredentialsError(.notSupported, operation: Self.operation(path), message: reason)
    }

    private static func invalid(_ path: String, _ message: String) -> CredentialsError {
        CredentialsError(.invalidFile, operation: operation(path), message: message)
    }

    static func operation(_ path: String) -> String { "reading the Google credentials in \(path)" }
}

/// Converts a credential file into the source that its `type` names.
struct CredentialKinds {
    /// The scope that a token needs to request another service account's token.
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

    /// Whether the text is a project ID. The older form `example.com:project` also counts.
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

    /// Checks the universe of the file. Other universes have other hosts for BigQuery and expect the assertion itself
    /// as the token.
    private func checkUniverse(of file: CredentialFile) throws(CredentialsError) {
        guard let universe = try file.optionalString("universe_domain"), universe != "googleapis.com" else { return }
        throw file.notSupported("`universe_domain` is not googleapis.com, and no other one is supported")
    }
}

/// Reads a small file completely. If that fails, the error gives the system's own reason.
enum FileBytes {
    struct Failure: Error {
        let reason: String
    }

    /// The limit is far above the size of any credential file. A wrong path, such as a device or a log, must not fill
    /// the memory.
    static let limit = 1 << 20

    /// Returns `nil` if the file does not exist.
    static func read(_ path: String) throws -> Data? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw Failure(reason: String(cString: strerror(errno)))
        }
        defer { close(file) }
        var data = Data()
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = Glibc.read(file, &buffer, buffer.count)
            if count == 0 { return data }
            if count < 0 {
                if errno == EINTR { continue }
                throw Failure(reason: String(cString: strerror(errno)))
            }
            data.append(contentsOf: buffer.prefix(count))
            guard data.count <= limit else { throw Failure(reason: "it is larger than 1 MiB") }
        }
    }
}

/// A URL from a credential file to which secrets may be sent: https, or plain http to this machine, without a fragment.
struct EndpointURL: Sendable {
    static let rule = "must be an https URL (plain http only to localhost)"

    private let url: HTTPURL

    /// - Parameter exceptions: Hosts that may also be contacted over plain http.
    init?(_ text: String, plainHTTPAlsoTo exceptions: Set<String> = []) {
        guard let url = try? HTTPURL(text, refusing: .fragment),
            url.scheme == .https || url.isThisMachine || exceptions.contains(url.host)
        else { return nil }
        self.url = url
    }

    /// Whether the host is one of Google's or this machine. Keys and refresh tokens may go there, whatever a credential
    /// file says.
    var isGoogles: Bool {
        url.host == "accounts.google.com" || url.host == "googleapis.com" || url.host.hasSuffix(".googleapis.com")
            || url.isThisMachine
    }

    var text: String { url.text }

    /// The URL for messages, without the query, which may contain a secret.
    var shown: String { url.shown }

    /// The path, or `nil` for a URL with a query.
    var plainPath: String? { url.query == nil ? url.path : nil }
}
