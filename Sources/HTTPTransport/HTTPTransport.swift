/// Sends one HTTP request and returns the whole response.
///
/// Any status is a response, also 4xx and 5xx. What kept a response from arriving whole is thrown as
/// ``HTTPTransportError``; cancelling the calling task abandons the request and throws `CancellationError`. Nothing is
/// retried here.
package protocol HTTPTransport: Sendable {
    func send(_ request: HTTPRequest) async throws -> HTTPResponse
}
