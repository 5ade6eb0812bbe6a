import Foundation
import HTTPTransport
import TestSupport

extension ScriptedReply {
    static func token(_ value: String = "ya29.access", expiresIn: String = "3599") -> ScriptedReply {
        .json(#"{"access_token": "\#(value)", "expires_in": \#(expiresIn), "token_type": "Bearer"}"#)
    }

    static func impersonated(_ value: String = "ya29.impersonated") -> ScriptedReply {
        .json(#"{"accessToken": "\#(value)", "expireTime": "2026-01-31T01:00:00.123456789Z"}"#)
    }
}

extension ScriptedRequest {
    /// The fields of a form, decoded.
    var form: [String: String] {
        var asQuery = self
        asQuery.target = "/?\(text)"
        return asQuery.query
    }

    var json: [String: Any] { (try? JSONSerialization.jsonObject(with: body)) as? [String: Any] ?? [:] }
}
