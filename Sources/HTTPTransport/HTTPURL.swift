/// An absolute http or https URL, divided into its parts.
///
/// The grammar is narrower than RFC 3986, so that no other parser finds another host in the same text. It allows only
/// visible ASCII, a scheme in lower case, no user before the host, and no character that must be percent-encoded.
///
/// ```swift
/// let url = try HTTPURL("http://localhost:9050", refusing: [.query, .fragment])
/// url.isThisMachine    // true
/// ```
package struct HTTPURL: Sendable, Hashable {
    package enum Scheme: String, Sendable {
        case http, https
    }

    /// A part that a caller may refuse, because the URL is a base to which it adds its own.
    package struct Part: OptionSet, Sendable {
        package let rawValue: Int
        package init(rawValue: Int) { self.rawValue = rawValue }

        package static let path = Part(rawValue: 1)
        package static let query = Part(rawValue: 2)
        package static let fragment = Part(rawValue: 4)
    }

    /// A fault of the text. The raw value continues a sentence whose subject is the URL.
    package enum Problem: String, Error {
        case characters = "has characters that are not percent-encoded"
        case scheme = "does not begin with http:// or https://"
        case userInfo = "has a user or a password before its host"
        case host = "has no valid host"
        case port = "has no valid port"
        case path = "has a path"
        case query = "has a query"
        case fragment = "has a fragment"
    }

    package let text: String
    package let scheme: Scheme
    /// In lower case; an IPv6 address with its brackets.
    package let host: String
    package let port: UInt16?
    /// Empty, or the part that begins with "/" and ends before "?" or "#".
    package let path: String
    /// The part between "?" and "#".
    package let query: String?

    package init(_ text: String, refusing refused: Part = []) throws(Problem) {
        guard text.utf8.allSatisfy({ 0x21...0x7e ~= $0 }), !text.contains(where: { #"\"<>^`{|}"#.contains($0) })
        else { throw .characters }
        guard let scheme = [Scheme.https, .http].first(where: { text.hasPrefix("\($0)://") }) else { throw .scheme }
        let rest = text.dropFirst(scheme.rawValue.count + 3)
        let authority = rest.prefix { !"/?#".contains($0) }
        if authority.contains("@") { throw .userInfo }
        let (host, port) = try Self.hostAndPort(authority)
        let hierarchy = rest.prefix { $0 != "#" }
        let path = hierarchy.prefix { $0 != "?" }.dropFirst(authority.count)
        let query = hierarchy.contains("?") ? hierarchy.drop { $0 != "?" }.dropFirst() : nil
        if refused.contains(.path), !path.isEmpty { throw .path }
        if refused.contains(.query), query != nil { throw .query }
        if refused.contains(.fragment), rest.contains("#") { throw .fragment }
        self.text = text
        self.scheme = scheme
        self.host = host
        self.port = port
        self.path = String(path)
        self.query = query.map(String.init)
    }

    /// `scheme://host:port`: requests to the same origin may share connections.
    package var origin: String { "\(scheme)://\(host)" + (port.map { ":\($0)" } ?? "") }

    /// The URL for messages: without its query and fragment, which may contain a secret.
    package var shown: String { origin + path }

    /// Whether the host is this machine. Nobody else can read plain text that is sent there.
    package var isThisMachine: Bool { ["localhost", "127.0.0.1", "[::1]"].contains(host) }

    private static func hostAndPort(_ authority: Substring) throws(Problem) -> (host: String, port: UInt16?) {
        var host = authority
        var port: UInt16?
        if let colon = authority.lastIndex(of: ":"), !authority.hasSuffix("]") {
            let digits = authority[colon...].dropFirst()
            host = authority[..<colon]
            port = digits.allSatisfy(\.isWholeNumber) ? UInt16(digits) : nil
            guard let port, port > 0 else { throw .port }
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            let address = host.dropFirst().dropLast()
            guard !address.isEmpty, address.allSatisfy({ $0.isHexDigit || $0 == ":" }) else { throw .host }
        } else {
            guard !host.isEmpty, host.allSatisfy({ $0.isLetter || $0.isNumber || "-._".contains($0) }) else {
                throw .host
            }
        }
        return (host.lowercased(), port)
    }
}

/// Encodes everything but RFC 3986's unreserved characters as `%XX`, for one name or value of a query, or for one segment
/// of a path.
///
/// - Parameter allowed: More ASCII characters that stay as they are, such as "/" in a whole path.
package func percentEncoded(_ text: String, allowing allowed: String = "") -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    let plain = Set("-._~".utf8).union(allowed.utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            bytes.append(byte)
        case _ where plain.contains(byte): bytes.append(byte)
        default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}

/// `name=value&name=value`, percent-encoded: a query, or the body of an `application/x-www-form-urlencoded` request.
package func formEncoded(_ fields: [(name: String, value: String)]) -> String {
    fields.map { "\(percentEncoded($0.name))=\(percentEncoded($0.value))" }.joined(separator: "&")
}
