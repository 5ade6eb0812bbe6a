import FoundationEssentials
import HTTPTransport
import JobRuntime

/// A token server's answer with a 2xx status.
struct TokenReply {
    /// No Google token lives for longer than 12 hours; beyond a year it is not a number of seconds.
    private static let lifetimes: ClosedRange<Int64> = 1...31_536_000

    private let members: [String: JSONValue]
    private let operation: String

    init(_ response: HTTPResponse, operation: String) throws {
        guard let members = JSONValue.members(of: response.body) else {
            throw CredentialsError(.invalidResponse, operation: operation, message: "the answer is not a JSON object")
        }
        self.members = members
        self.operation = operation
    }

    /// `expires_in` counts from `asked`, the instant before the request was sent.
    func token(asked: Timestamp) throws -> AccessToken {
        let value = try bearer("access_token")
        guard let seconds = members["expires_in"]?.wholeNumber, Self.lifetimes.contains(seconds) else {
            throw invalid("expires_in", "is not a number of seconds")
        }
        return AccessToken(value: value, expiresAt: asked.adding(.seconds(seconds)))
    }

    /// The form of `generateAccessToken`.
    func impersonatedToken() throws -> AccessToken {
        let value = try bearer("accessToken")
        guard let expiresAt = members["expireTime"]?.text.flatMap({ Timestamp(Self.wholeSeconds($0)) }) else {
            throw invalid("expireTime", "is not an RFC 3339 time")
        }
        return AccessToken(value: value, expiresAt: expiresAt)
    }

    /// A token that can stand in an `Authorization` header.
    private func bearer(_ name: String) throws -> String {
        guard let value = members[name]?.text, !value.isEmpty, value.utf8.allSatisfy({ 0x21...0x7e ~= $0 }) else {
            throw invalid(name, "is missing or not a token")
        }
        return value
    }

    private func invalid(_ name: String, _ reason: String) -> CredentialsError {
        CredentialsError(.invalidResponse, operation: operation, message: "`\(name)` of the answer \(reason)")
    }

    /// Google's times may have nine digits of a second.
    private static func wholeSeconds(_ text: String) -> String {
        guard let dot = text.firstIndex(of: ".") else { return text }
        return String(text[..<dot] + text[dot...].dropFirst().drop { $0.isNumber })
    }
}
