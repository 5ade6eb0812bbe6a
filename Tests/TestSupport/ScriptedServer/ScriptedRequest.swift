package import Foundation
package import HTTPTransport

/// A request as it arrived at a ``ScriptedServer``.
package struct ScriptedRequest: Sendable {
    package var method: String
    /// The request line's target as sent: a path, or a whole URL when the client thinks that it talks to a proxy.
    package var target: String
    package var headers: HTTPHeaders
    /// The body as it came over the wire.
    package var rawBody: Data
    /// The body, inflated when it came with `Content-Encoding: gzip`.
    package var body: Data
    /// Counts the server's connections from 0; requests with the same number shared one.
    package var connection: Int
    /// Counts the server's requests from 0.
    package var index: Int

    /// The target without scheme, host and query, still percent-encoded.
    package var path: String {
        var rest = target.prefix { $0 != "?" }
        if let scheme = rest.range(of: "://") {
            rest = rest[scheme.upperBound...].drop { $0 != "/" }
        }
        return String(rest)
    }

    /// The query's values, decoded; of a repeated name, the last.
    package var query: [String: String] {
        var values: [String: String] = [:]
        for pair in target.drop(while: { $0 != "?" }).dropFirst().split(separator: "&") {
            let name = pair.prefix { $0 != "=" }
            values[Self.decoded(name)] = Self.decoded(pair.dropFirst(name.count + 1))
        }
        return values
    }

    /// The body as text.
    package var text: String { String(decoding: body, as: UTF8.self) }

    private static func decoded(_ text: Substring) -> String {
        let spaced = text.replacingOccurrences(of: "+", with: " ")
        return spaced.removingPercentEncoding ?? spaced
    }
}
