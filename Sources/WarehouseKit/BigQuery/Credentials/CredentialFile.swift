import FoundationEssentials

/// One JSON object of a credential file. Every complaint names the file and the field and never shows a value.
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

    func integer(_ name: String) throws(CredentialsError) -> Int64? {
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

    /// The object's texts, sorted by name.
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
