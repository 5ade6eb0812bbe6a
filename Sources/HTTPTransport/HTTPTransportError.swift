/// Why a request got no complete response.
package struct HTTPTransportError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        case invalidRequest
        case nameNotResolved
        case connectionFailed
        /// The proxy answered, and lets nothing through: a 4xx status such as 407.
        case proxyRefused
        case connectionLost
        case timedOut
        case tlsFailed
        case truncatedBody
        case invalidCompressedBody
        case bodyTooLarge
        case other
    }

    package var code: Code
    /// Method, host and path of the request; never its query, headers or body.
    package var operation: String
    /// What libcurl or zlib said.
    package var message: String

    package init(_ code: Code, operation: String, message: String) {
        self.code = code
        self.operation = operation
        self.message = message
    }

    /// Whether the same request may succeed when it is sent again.
    package var isRetryable: Bool {
        switch code {
        case .nameNotResolved, .connectionFailed, .connectionLost, .timedOut, .truncatedBody, .invalidCompressedBody:
            true
        case .invalidRequest, .proxyRefused, .tlsFailed, .bodyTooLarge, .other: false
        }
    }

    package var description: String { "\(operation): \(message) (\(code.rawValue))" }
}
