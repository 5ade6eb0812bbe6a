import CCurl

extension HTTPTransportError {
    /// What libcurl's result means; `detail` is the text of its error buffer.
    init(_ result: CURLcode, operation: String, detail: String) {
        let general = String(cString: curl_easy_strerror(result))
        // Both quote the proxy's URL when they cannot read it, with a password where it has one.
        let isQuiet = detail.isEmpty || result == CURLE_COULDNT_RESOLVE_PROXY || detail.contains("://")
        self.init(Self.code(for: result), operation: operation, message: isQuiet ? general : detail)
    }

    private static func code(for result: CURLcode) -> Code {
        switch result {
        case CURLE_URL_MALFORMAT: .invalidRequest
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .nameNotResolved
        // A handshake that breaks off is mostly a connection that did; wrong certificates have codes of their own.
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
