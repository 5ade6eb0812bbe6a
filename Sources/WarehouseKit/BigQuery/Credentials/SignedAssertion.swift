import FoundationEssentials
import JobRuntime

/// The JSON Web Token with which a service account proves who it is to the token server.
struct SignedAssertion {
    private struct Header: Encodable {
        var alg = "RS256"
        var typ = "JWT"
        var kid: String?
    }

    private struct Claims: Encodable {
        var iss: String
        var scope: String
        var aud: String
        var iat: Int64
        var exp: Int64
    }

    /// The token server takes no assertion that is good for longer.
    private static let lifetime: Int64 = 3600

    let text: String

    init(email: String, keyID: String?, key: RSAPrivateKey, scope: String, audience: String, at instant: Timestamp)
        throws
    {
        let issued = instant.microseconds / 1_000_000
        let claims = Claims(iss: email, scope: scope, aud: audience, iat: issued, exp: issued + Self.lifetime)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        let signed =
            try Self.base64URL(encoder.encode(Header(kid: keyID))) + "." + Self.base64URL(encoder.encode(claims))
        text = try signed + "." + Self.base64URL(key.signature(of: Data(signed.utf8)))
    }

    private static func base64URL(_ data: Data) -> String {
        var text = ""
        for character in data.base64EncodedString() {
            switch character {
            case "+": text.append("-")
            case "/": text.append("_")
            case "=": break
            default: text.append(character)
            }
        }
        return text
    }
}
