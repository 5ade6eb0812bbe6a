import HTTPTransport

/// A network without the host that is asked for: what no server on the loopback can show.
struct FailingTransport: HTTPTransport {
    var code = HTTPTransportError.Code.nameNotResolved

    func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        throw HTTPTransportError(code, operation: "GET host/path", message: "Could not resolve host")
    }
}
