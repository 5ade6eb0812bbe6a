import CCurl

/// Whether the server did what the request asked for.
///
/// The code that creates an error sets this once, because only that code knows how far the request came.
package enum Certainty: Sendable {
    /// The server did nothing, for instance because the request never left this machine.
    case notDone
    /// The server did it.
    case done
    /// Nobody knows. The request was sent, and no answer arrived.
    case unknown
}

/// The reason why a request got no complete response.
package struct HTTPTransportError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        case invalidRequest
        case nameNotResolved
        case connectionFailed
        /// The proxy answered with a 4xx status such as 407, and forwards nothing.
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
    /// The text from libcurl or zlib.
    package var message: String
    /// `.notDone` if the request was certainly not sent, otherwise `.unknown`.
    package var certainty: Certainty

    package init(_ code: Code, operation: String, message: String, certainty: Certainty = .unknown) {
        self.code = code
        self.operation = operation
        self.message = message
        self.certainty = certainty
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

extension HTTPTransportError {
    /// Interprets libcurl's result; `detail` is the text of its error buffer.
    ///
    /// The certainty comes from the transfer and not from the result. A timeout may strike before or after the request
    /// was sent. A refused connection may be the second one, which libcurl opens after a kept connection took the request and
    /// died.
    init(_ result: CURLcode, operation: String, detail: String, certainty: Certainty) {
        let general = String(cString: curl_easy_strerror(result))
        // libcurl quotes a proxy's URL that it cannot read, and the URL may have a password.
        let isQuiet = detail.isEmpty || result == CURLE_COULDNT_RESOLVE_PROXY || detail.contains("://")
        self.init(
            Self.code(for: result), operation: operation, message: isQuiet ? general : detail, certainty: certainty)
    }

    private static func code(for result: CURLcode) -> Code {
        switch result {
        case CURLE_URL_MALFORMAT: .invalidRequest
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .nameNotResolved
        // A handshake that breaks off is mostly a lost connection. Wrong certificates have codes of their own.
        case CURLE_COULDNT_CONNECT, CURLE_PROXY, CURLE_SSL_CONNECT_ERROR: .connectionFailed
        // The scheme was checked before, so an unsupported protocol is an answer that is not HTTP.
        case CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_HTTP2, CURLE_HTTP2_STREAM,
            CURLE_WEIRD_SERVER_REPLY, CURLE_UNSUPPORTED_PROTOCOL, CURLE_SEND_FAIL_REWIND:
            .connectionLost
        case CURLE_PARTIAL_FILE: .truncatedBody
        case CURLE_OPERATION_TIMEDOUT: .timedOut
        case CURLE_FILESIZE_EXCEEDED: .bodyTooLarge
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_CIPHER, CURLE_SSL_INVALIDCERTSTATUS, CURLE_USE_SSL_FAILED:
            .tlsFailed
        default: .other
        }
    }
}
