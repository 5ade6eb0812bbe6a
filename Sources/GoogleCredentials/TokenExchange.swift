import FoundationEssentials
import HTTPTransport
import JobRuntime

/// Sends the requests that lead to a token, retries them if the server asks for it, and reads the answers.
struct TokenExchange: Sendable {
    let transport: any HTTPTransport
    let now: @Sendable () -> Timestamp
    let time: TimeSource

    /// Posts a form as OAuth 2.0 defines it and reads `access_token` and `expires_in`. No error contains any of the
    /// `secrets`, even if the server repeats them.
    func token(
        from endpoint: EndpointURL, form: [(name: String, value: String)], headers: HTTPHeaders = [:],
        secrets: [Secret],
        operation: String
    ) async throws -> AccessToken {
        var headers = headers
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        let request = HTTPRequest(
            .post, endpoint.text, headers: headers, body: Data(formEncoded(form).utf8), timeout: .seconds(30))
        let asked = now()
        let response = try await send(request, secrets: secrets, operation: operation)
        return try TokenReply(response, operation: operation).token(asked: asked)
    }

    /// Returns the first answer with a 2xx status. The pauses between the attempts are 1 s, 2 s, and so on, each up to
    /// 10% longer or shorter, as in Google's Python library.
    func send(
        _ request: HTTPRequest, secrets: [Secret], operation: String, attempts: Int = 3
    ) async throws -> HTTPResponse {
        try await RetryPolicy(attempts: attempts, budget: .seconds(600)).run(
            on: time, jitter: { 0.9 + 0.2 * Machine.current.jitter() },
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

/// A token server's answer with a 2xx status.
struct TokenReply {
    /// The accepted lifetimes, in seconds. No Google token lives longer than 12 hours, and a value beyond a year is not
    /// a number of seconds.
    private static let lifetimes: ClosedRange<Int> = 1...31_536_000

    private let members: [String: JSONValue]
    private let operation: String

    init(_ response: HTTPResponse, operation: String) throws {
        guard let members = JSONValue.members(of: response.body) else {
            throw CredentialsError(.invalidResponse, operation: operation, message: "the answer is not a JSON object")
        }
        self.members = members
        self.operation = operation
    }

    /// Reads the token. `expires_in` counts from `asked`, the instant before the request was sent.
    func token(asked: Timestamp) throws -> AccessToken {
        let value = try bearer("access_token")
        guard let seconds = members["expires_in"]?.wholeNumber, Self.lifetimes.contains(seconds) else {
            throw invalid("expires_in", "is not a number of seconds")
        }
        return AccessToken(value: value, expiresAt: asked.adding(.seconds(seconds)))
    }

    /// Reads the token in the form that `generateAccessToken` returns (fact IAM-05).
    func impersonatedToken() throws -> AccessToken {
        let value = try bearer("accessToken")
        guard let expiresAt = members["expireTime"]?.text.flatMap({ Timestamp(Self.wholeSeconds($0)) }) else {
            throw invalid("expireTime", "is not an RFC 3339 time")
        }
        return AccessToken(value: value, expiresAt: expiresAt)
    }

    /// Returns a token that can appear in an `Authorization` header.
    private func bearer(_ name: String) throws -> String {
        guard let value = members[name]?.text, !value.isEmpty, value.utf8.allSatisfy({ 0x21...0x7e ~= $0 }) else {
            throw invalid(name, "is missing or not a token")
        }
        return value
    }

    private func invalid(_ name: String, _ reason: String) -> CredentialsError {
        CredentialsError(.invalidResponse, operation: operation, message: "`\(name)` of the answer \(reason)")
    }

    /// Drops the fraction of a second, because Google's timestamps may have nine fractional digits.
    private static func wholeSeconds(_ text: String) -> String {
        guard let dot = text.firstIndex(of: ".") else { return text }
        return String(text[..<dot] + text[dot...].dropFirst().drop { $0.isNumber })
    }
}

/// A token server's answer with a status other than 2xx. The body has one of these forms:
///
/// - `{"error": "...", "error_description": "..."}`, as in OAuth 2.0
/// - `{"error": {"status": ..., "message": ...}}`, as in Google's APIs
/// - anything else, which is not repeated
struct TokenServerRefusal {
    private static let retryableStatuses: Set<Int> = [408, 429, 500, 502, 503, 504]
    private static let retryableErrors: Set<String> = ["internal_failure", "server_error", "temporarily_unavailable"]

    private let status: Int
    private let name: String?
    private let details: String?

    init(_ response: HTTPResponse) {
        let members = JSONValue.members(of: response.body)
        let error = members?["error"]
        status = response.status
        name = error?.text ?? error?.object?["status"]?.text
        details = members?["error_description"]?.text ?? error?.object?["message"]?.text
    }

    func error(operation: String, secrets: [Secret]) -> CredentialsError {
        let again = Self.retryableStatuses.contains(status) || name.map(Self.retryableErrors.contains) ?? false
        let said = [name, details].compactMap { $0 }.joined(separator: ": ")
        let message = said.isEmpty ? "HTTP \(status)" : "\(Self.safe(said, secrets)) (HTTP \(status))"
        return CredentialsError(again ? .unavailable : .refused, operation: operation, message: message)
    }

    /// Returns one line of bounded length that masks everything that was sent in confidence.
    private static func safe(_ text: String, _ secrets: [Secret]) -> String {
        var text = text
        for secret in secrets { text = masking(secret.value, in: text) }
        let visible = text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) }
        return visible.count > 300 ? String(visible.prefix(300)) + "..." : String(visible)
    }

    private static func masking(_ secret: String, in text: String) -> String {
        guard !secret.isEmpty else { return text }
        var masked = ""
        var rest = text[...]
        while let next = rest.first {
            if rest.hasPrefix(secret) {
                masked += "***"
                rest = rest.dropFirst(secret.count)
            } else {
                masked.append(next)
                rest = rest.dropFirst()
            }
        }
        return masked
    }
}
