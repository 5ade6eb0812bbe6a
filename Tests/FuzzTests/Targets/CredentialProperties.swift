import Foundation
import HTTPTransport
import JobRuntime

@testable import GoogleCredentials

/// A credential file leads to a source of tokens, or to an error that names the file and shows no secret.
enum CredentialProperties {
    private struct NoTransport: HTTPTransport {
        func send(_ request: HTTPRequest) async throws -> HTTPResponse {
            fatalError("a credential file is read without a request")
        }
    }

    private static let path = "/keys/credentials.json"
    private static let secrets = ["private_key", "client_secret", "refresh_token", "private_key_id"]
    private static let kinds = CredentialKinds(
        exchange: TokenExchange(
            transport: NoTransport(), now: { Timestamp(microseconds: 1_800_000_000_000_000) }, time: .system),
        readFile: { _ in nil })

    static func check(_ input: Data) throws {
        do {
            let file = try CredentialFile(path: path, content: input)
            let source = try kinds.source(in: file, scope: "https://www.googleapis.com/auth/bigquery")
            try hold(!source.origin.isEmpty, "a source without an origin")
            try holdsNoSecret(source.origin, input)
            _ = try CredentialKinds.quotaProject(of: file).map { try hold(CredentialKinds.isProject($0), $0) }
        } catch let error as CredentialsError {
            try hold(error.description.contains(path), error.description)
            try holdsNoSecret(error.description, input)
        }
    }

    /// Compares only values that no message has by chance.
    private static func holdsNoSecret(_ text: String, _ input: Data) throws {
        guard let members = JSONValue.members(of: input) else { return }
        for name in secrets {
            guard let secret = members[name]?.text, secret.utf8.count >= 12, secret.contains(where: \.isNumber) else {
                continue
            }
            try hold(!text.contains(secret), "\(name) is shown: \(text)")
        }
    }
}
