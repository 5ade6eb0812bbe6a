import FoundationEssentials

/// Sends HTTP requests with libcurl: over HTTP/2 if TLS negotiates it, on shared connections, with gzip both ways (fact BQ-27).
///
/// - One thread of the transport moves all bytes. The thread ends with the transport.
/// - `http_proxy`, `https_proxy` and `NO_PROXY` work as they do for curl. Requests to this machine and to Google's
///   metadata server never go through a proxy.
/// - Certificates are always verified. A redirect is a response like any other. Cookies and `.netrc` are not read.
/// - The time that a request waits for its turn does not count toward its timeout.
///
/// ```swift
/// var configuration = CurlTransport.Configuration()
/// configuration.timeout = .seconds(30)
/// let transport = CurlTransport(configuration)
/// let response = try await transport.send(HTTPRequest(.get, "https://example.com/"))
/// ```
package final class CurlTransport: HTTPTransport {
    /// The behavior of a ``CurlTransport``. From the environment the transport reads only libcurl's proxy variables.
    package struct Configuration: Sendable {
        /// Sent with each request that brings none. Google compresses only for agents that have `gzip` in their name (fact BQ-26).
        package var userAgent = "scheduler-jobs (gzip)"
        /// Limits the time from the first packet to the end of the TLS handshake, name resolution included.
        package var connectTimeout = Duration.seconds(10)
        /// Limits the whole exchange of requests that bring no timeout of their own.
        package var timeout = Duration.seconds(60)
        /// The most connections open at once, to one host and to all together.
        package var maxConnections = 64
        /// The most requests on the wire at once. Only HTTP/2 reaches this limit, because it shares connections. Servers
        /// accept 100 requests on one connection, and each request above that would open another connection.
        package var maxRequestsInFlight = 100
        /// The most bytes of one response: of its head and body as they arrive, and of its body inflated.
        package var maxResponseBytes = 64 << 20
        /// The transport compresses request bodies with more bytes; `nil` leaves all as they are.
        package var compressBodiesOver: Int? = 4096
        /// A PEM file of the authorities to trust instead of the system's.
        package var certificateAuthorityFile: String?
        /// Called for each request, before it is sent.
        package var onRequest: @Sendable () -> Void = {}

        package init() {}
    }

    private let configuration: Configuration
    private let loop: TransferLoop

    package init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
        loop = TransferLoop(configuration)
    }

    deinit { loop.stop() }

    package func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        let outgoing = try OutgoingRequest(request, configuration)
        configuration.onRequest()
        let response = try await loop.response(to: outgoing)
        return try response.inflated(limit: configuration.maxResponseBytes, operation: outgoing.operation)
    }
}

/// A checked request in the form that libcurl accepts.
struct OutgoingRequest: Sendable {
    let method: String
    let url: HTTPURL
    /// Whether the request goes to this machine or to Google's metadata server. Both handle tokens over plain HTTP, which
    /// a proxy could read.
    let bypassesProxy: Bool
    let operation: String
    /// Lines for `CURLOPT_HTTPHEADER`.
    let headerLines: [String]
    let body: Data?
    let timeout: Duration

    init(_ request: HTTPRequest, _ configuration: CurlTransport.Configuration) throws(HTTPTransportError) {
        method = request.method.rawValue
        do {
            url = try HTTPURL(request.url)
        } catch {
            throw Self.refusal(method, "the URL \(error.rawValue)")
        }
        bypassesProxy = url.isThisMachine || Self.metadataServers.contains(url.host)
        operation = "\(method) \(url.shown.dropFirst(url.scheme.rawValue.count + 3))"
        timeout = request.timeout ?? configuration.timeout

        var headers = request.headers
        for name in ["Content-Length", "Transfer-Encoding"] where headers[name] != nil {
            throw Self.refusal(operation, "the transport itself sets \(name)")
        }
        if headers["User-Agent"] == nil { headers["User-Agent"] = configuration.userAgent }
        if headers["Accept-Encoding"] == nil { headers["Accept-Encoding"] = "gzip" }
        var body = request.body
        if let plain = body, let limit = configuration.compressBodiesOver, plain.count > limit,
            headers["Content-Encoding"] == nil,
            // A form goes to a token server, which may not accept gzip.
            headers["Content-Type"] != "application/x-www-form-urlencoded"
        {
            headers["Content-Encoding"] = "gzip"
            body = Gzip.compress(plain)
        }
        self.body = body
        headerLines = try Self.lines(of: headers, operation)
    }

    /// https://cloud.google.com/compute/docs/metadata/querying-metadata
    private static let metadataServers: Set<String> = ["metadata.google.internal", "169.254.169.254"]

    private static func lines(of headers: HTTPHeaders, _ operation: String) throws(HTTPTransportError) -> [String] {
        // A header without a value keeps libcurl from adding its own: it would wait for "100 Continue" and label every
        // body as a form.
        var lines = ["Expect:"]
        if headers["Content-Type"] == nil { lines.append("Content-Type:") }
        for (name, value) in headers.fields {
            guard isToken(name) else { throw refusal(operation, "a header name is not a token") }
            guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }) else {
                throw refusal(operation, "the value of header \(name) has control characters")
            }
            // To libcurl, a colon and nothing removes a header; a semicolon sends it without a value.
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
        HTTPTransportError(.invalidRequest, operation: operation, message: message, certainty: .notDone)
    }
}
