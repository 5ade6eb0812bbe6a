/// An absolute URL out of a credential file to which secrets may go: https, or plain http to this machine.
///
/// The grammar is narrower than RFC 3986 (no user information, no fragment, ASCII only), so that no other reader of the
/// same text can take another host from it.
struct EndpointURL: Sendable {
    static let rule = "must be an https URL (plain http only to localhost)"
    private static let thisMachine: Set<String> = ["localhost", "127.0.0.1", "[::1]"]

    let text: String
    private let host: String

    /// `exceptions` are hosts that may be asked over plain http as well.
    init?(_ text: String, plainHTTPAlsoTo exceptions: Set<String> = []) {
        guard text.utf8.allSatisfy({ 0x21...0x7e ~= $0 }), !text.contains(where: { "\\\"<>^`{|}#".contains($0) }),
            let separator = text.firstIndex(of: ":")
        else { return nil }
        let scheme = text[..<separator]
        var authority = text[separator...]
        guard authority.hasPrefix("://") else { return nil }
        authority = authority.dropFirst(3).prefix { $0 != "/" && $0 != "?" }
        guard let host = Self.host(of: authority) else { return nil }
        guard scheme == "https" || scheme == "http" && (Self.thisMachine.contains(host) || exceptions.contains(host))
        else { return nil }
        self.text = text
        self.host = host
    }

    /// Google's own, or this machine: where keys and refresh tokens may go, whatever a credential file says.
    var isGoogles: Bool {
        host == "accounts.google.com" || host == "googleapis.com" || host.hasSuffix(".googleapis.com")
            || Self.thisMachine.contains(host)
    }

    /// For messages: without the query, in which there may be a secret.
    var shown: String { String(text.prefix { $0 != "?" }) }

    /// What comes after the authority.
    var path: Substring { text.drop { $0 != ":" }.dropFirst(3).drop { $0 != "/" && $0 != "?" } }

    /// The lowercased host of `host`, `host:port` or `[address]:port`, if it is nothing but that.
    static func host(of authority: Substring) -> String? {
        var host = authority
        if let colon = authority.lastIndex(of: ":"), !authority.hasSuffix("]") {
            guard let port = UInt16(authority[colon...].dropFirst()), port > 0 else { return nil }
            host = authority[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            let address = host.dropFirst().dropLast()
            return !address.isEmpty && address.allSatisfy { $0.isHexDigit || $0 == ":" } ? host.lowercased() : nil
        }
        let isName =
            !host.isEmpty && host.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "-") }
        return isName ? host.lowercased() : nil
    }
}
