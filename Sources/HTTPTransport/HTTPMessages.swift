package import FoundationEssentials

/// Sends one HTTP request and returns the whole response.
///
/// Every status is a response, 4xx and 5xx included. Anything that kept the response from arriving whole is thrown as
/// ``HTTPTransportError``. Canceling the calling task abandons the request and throws `CancellationError`. The transport
/// retries nothing.
///
/// ```swift
/// let response = try await transport.send(HTTPRequest(.get, "https://example.com/v1/things?limit=10"))
/// guard response.status == 200 else { … }
/// ```
package protocol HTTPTransport: Sendable {
    func send(_ request: HTTPRequest) async throws -> HTTPResponse
}

/// One HTTP request. `url` is absolute and already percent-encoded.
package struct HTTPRequest: Sendable {
    package enum Method: String, Sendable {
        case get = "GET"
        case post = "POST"
        case patch = "PATCH"
        case put = "PUT"
        case delete = "DELETE"
    }

    package var method: Method
    package var url: String
    package var headers: HTTPHeaders
    package var body: Data?
    /// Limits the whole exchange, from name resolution to the last byte of the body; `nil` is the transport's default.
    package var timeout: Duration?

    package init(
        _ method: Method, _ url: String, headers: HTTPHeaders = [:], body: Data? = nil, timeout: Duration? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
    }
}

/// A complete response. The transport has already inflated its body.
package struct HTTPResponse: Sendable {
    package var status: Int
    package var headers: HTTPHeaders
    package var body: Data

    package init(status: Int, headers: HTTPHeaders = [:], body: Data = Data()) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The id under which the server's operator finds this request, for messages: at most 100 visible ASCII characters.
    ///
    /// Stripe sends `Request-Id` (fact ST-14), Google's front ends send `X-Goog-Request-Id`, and proxies send `X-Request-Id`. A value
    /// with other characters is not an id and counts as absent.
    package var requestID: String? {
        for name in ["Request-Id", "X-Goog-Request-Id", "X-Request-Id"] {
            guard let id = headers[name]?.prefix(100), !id.isEmpty else { continue }
            if id.utf8.allSatisfy({ 0x21...0x7e ~= $0 }) { return String(id) }
        }
        return nil
    }

    /// The wait before the next request that the server asks for (`Retry-After`, RFC 9110, 10.2.3).
    ///
    /// The value is a number of seconds or a date. A date that has passed means no wait, and a malformed value counts as
    /// absent. Nothing is capped: the retry policy decides whether the wait fits its budget.
    package func retryAfter(now: Date) -> Duration? {
        headers["Retry-After"].flatMap { RetryAfter.delay($0, now: now) }
    }
}

/// Header fields in the order in which they were added. Names compare without case.
package struct HTTPHeaders: Sendable, ExpressibleByDictionaryLiteral {
    package private(set) var fields: [(name: String, value: String)] = []

    package init(dictionaryLiteral elements: (String, String)...) {
        fields = elements.map { (name: $0.0, value: $0.1) }
    }

    /// The first value of that name. Setting a value replaces all values of the name, setting `nil` removes them.
    package subscript(name: String) -> String? {
        get { fields.first { Self.isSame($0.name, name) }?.value }
        set {
            fields.removeAll { Self.isSame($0.name, name) }
            if let newValue { fields.append((name: name, value: newValue)) }
        }
    }

    package mutating func append(_ value: String, for name: String) {
        fields.append((name: name, value: value))
    }

    /// Names are ASCII (RFC 9110, 5.1), so comparing bytes is enough.
    private static func isSame(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count
            && zip(left.utf8, right.utf8).allSatisfy { lowercased($0) == lowercased($1) }
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }
}
