package import FoundationEssentials

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
    /// The whole exchange, from name resolution to the last byte of the body; `nil` takes the transport's default.
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
