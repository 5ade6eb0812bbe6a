import FoundationEssentials
import HTTPTransport
import JobRuntime

/// Sends the requests that end in a token, again where the server asks for that, and reads its answers.
struct TokenExchange: Sendable {
    let transport: any HTTPTransport
    let now: @Sendable () -> Timestamp
    let time: TimeSource

    /// Posts a form as OAuth 2.0 has it and reads `access_token` and `expires_in`. `secrets` are kept out of any error,
    /// should the server repeat them.
    func token(
        from endpoint: EndpointURL, form: [(name: String, value: String)], headers: HTTPHeaders = [:],
        secrets: [Secret],
        operation: String
    ) async throws -> AccessToken {
        var headers = headers
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        let request = HTTPRequest(
            .post, endpoint.text, headers: headers, body: FormBody(form).data, timeout: .seconds(30))
        let asked = now()
        let response = try await send(request, secrets: secrets, operation: operation)
        return try TokenReply(response, operation: operation).token(asked: asked)
    }

    /// The first answer with a 2xx status. Waits 1 s, 2 s and so on between the attempts, each up to 10 % more or less,
    /// as Google's Python library does.
    func send(
        _ request: HTTPRequest, secrets: [Secret], operation: String, attempts: Int = 3
    ) async throws -> HTTPResponse {
        try await RetryPolicy(attempts: attempts).run(
            on: time, jitter: { .random(in: 0.9...1.1) },
            decide: { ($0 as? CredentialsError)?.isRetryable == true ? .retry() : .stop },
            operation: { _ in try await sendOnce(request, secrets: secrets, operation: operation) })
    }

    private func sendOnce(_ request: HTTPRequest, secrets: [Secret], operation: String) async throws -> HTTPResponse {
        let response: HTTPResponse
        do {
            response = try await transport.send(request)
        } catch let error as HTTPTransportError {
            throw CredentialsError(
                error.isRetryable ? .unavailable : .transportFailed, operation: operation, message: error.description)
        }
        guard 200..<300 ~= response.status else {
            throw TokenServerRefusal(response).error(operation: operation, secrets: secrets)
        }
        return response
    }
}
