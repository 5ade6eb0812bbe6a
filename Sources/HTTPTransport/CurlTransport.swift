/// HTTP over libcurl: HTTP/2 where TLS negotiates it, connections kept alive and shared, gzip both ways.
///
/// One thread of its own moves all bytes; it ends with the transport. `http_proxy`, `https_proxy` and `NO_PROXY` work
/// as they do for curl, except that this machine and Google's metadata server are never asked through a proxy. Certificates
/// are always verified, redirects are responses like others, and no cookies or `.netrc` are read. The time that a request
/// waits for its turn does not count towards its timeout.
package final class CurlTransport: HTTPTransport {
    private let configuration: Configuration
    private let loop: TransferLoop

    package init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
        loop = TransferLoop(configuration)
    }

    deinit { loop.stop() }

    package func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        let outgoing = try OutgoingRequest(request, configuration)
        let response = try await loop.response(to: outgoing)
        return try response.inflated(limit: configuration.maxResponseBytes, operation: outgoing.operation)
    }
}
