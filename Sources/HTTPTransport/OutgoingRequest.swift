import FoundationEssentials

/// A request that was checked and is in the form that libcurl takes.
struct OutgoingRequest: Sendable {
    let method: String
    let url: String
    /// `scheme://host:port`, to tell what may share connections.
    let origin: String
    /// Whether a proxy has no part in it: plain HTTP is allowed to this machine and to Google's metadata server because
    /// nobody else can listen, and both know tokens.
    let isLocal: Bool
    let operation: String
    /// Lines for `CURLOPT_HTTPHEADER`.
    let headerLines: [String]
    let body: Data?
    let timeout: Duration

    init(_ request: HTTPRequest, _ configuration: CurlTransport.Configuration) throws(HTTPTransportError) {
        let address = try Self.address(of: request)
        method = request.method.rawValue
        url = request.url
        origin = address.origin
        isLocal = Self.localHosts.contains(Self.host(of: address.origin))
        operation = "\(method) \(address.shown)"
        timeout = request.timeout ?? configuration.timeout

        var headers = request.headers
        for name in ["Content-Length", "Transfer-Encoding"] where headers[name] != nil {
            throw Self.refusal(operation, "\(name) is the transport's to set")
        }
        if headers["User-Agent"] == nil { headers["User-Agent"] = configuration.userAgent }
        if headers["Accept-Encoding"] == nil { headers["Accept-Encoding"] = "gzip" }
        var body = request.body
        if let plain = body, let limit = configuration.compressBodiesOver, plain.count > limit,
            headers["Content-Encoding"] == nil,
            // Forms go to token servers, which need not know gzip.
            headers["Content-Type"] != "application/x-www-form-urlencoded"
        {
            headers["Content-Encoding"] = "gzip"
            body = Gzip.compress(plain)
        }
        self.body = body
        headerLines = try Self.lines(of: headers, operation)
    }

    private static let localHosts: Set<String> = [
        "localhost", "127.0.0.1", "[::1]", "metadata.google.internal", "169.254.169.254",
    ]

    private static func host(of origin: String) -> String {
        let authority = origin.drop { $0 != "/" }.dropFirst(2)
        guard authority.first == "[" else { return String(authority.prefix { $0 != ":" }) }
        return String(authority.prefix { $0 != "]" }) + "]"
    }

    private static func address(of request: HTTPRequest) throws(HTTPTransportError) -> (origin: String, shown: String) {
        let url = request.url
        let method = request.method.rawValue
        guard url.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw refusal(method, "the URL is not percent-encoded")
        }
        guard let scheme = ["https://", "http://"].first(where: { url.hasPrefix($0) }) else {
            throw refusal(method, "only http and https URLs are sent")
        }
        let rest = url.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.isEmpty, !authority.contains("@"), !authority.contains("\\") else {
            throw refusal(method, "the URL has no host, or credentials before it")
        }
        return (scheme + authority.lowercased(), String(rest.prefix { $0 != "?" && $0 != "#" }))
    }

    private static func lines(of headers: HTTPHeaders, _ operation: String) throws(HTTPTransportError) -> [String] {
        // Without a value these keep libcurl from adding them: it would wait for "100 Continue" and call bodies forms.
        var lines = ["Expect:"]
        if headers["Content-Type"] == nil { lines.append("Content-Type:") }
        for (name, value) in headers.fields {
            guard isToken(name) else { throw refusal(operation, "a header name is not a token") }
            guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }) else {
                throw refusal(operation, "the value of header \(name) has control characters")
            }
            // To libcurl, a colon and nothing takes a header away; a semicolon sends it without a value.
            lines.append(value.utf8.allSatisfy { $0 == 0x20 || $0 == 0x09 } ? "\(name);" : "\(name): \(value)")
        }
        return lines
    }

    /// RFC 9110, 5.6.2.
    private static func isToken(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    private static func refusal(_ operation: String, _ message: String) -> HTTPTransportError {
        HTTPTransportError(.invalidRequest, operation: operation, message: message)
    }
}
