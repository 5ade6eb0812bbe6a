import FoundationEssentials
import HTTPTransport
import JobRuntime

/// A token server's answer with another status than 2xx: `{"error": "...", "error_description": "..."}` as in OAuth
/// 2.0, or `{"error": {"status": ..., "message": ...}}` as in Google's APIs, or anything else, which is not repeated.
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

    /// One line of bounded length, in which what was sent in confidence is masked.
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
