import HTTPTransport
import Testing

/// Fails the test that sends anything.
struct UnusedTransport: HTTPTransport {
    func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        Issue.record("an unexpected request to \(request.url)")
        throw HTTPTransportError(.other, operation: "none", message: "unexpected")
    }
}
