/// A check for `EnvironmentReader.string`: what is wrong with the URL of a service that is sent a secret, or `nil`.
///
/// It must be https, or plain http to this machine; a user, a query or a fragment have no place in it.
package func problemOfSecureURL(_ url: String) -> String? {
    let isSecure = url.hasPrefix("https://")
    guard isSecure || url.hasPrefix("http://") else { return "does not begin with https://" }
    let rest = url.dropFirst(isSecure ? 8 : 7)
    let isPlain = rest.unicodeScalars.allSatisfy {
        $0.value > 0x20 && $0.value < 0x7F && !"?#@\\\"<>".unicodeScalars.contains($0)
    }
    let host = rest.prefix { $0 != "/" }
    guard isPlain, !host.isEmpty else { return "is no URL of a service" }
    if isSecure { return nil }
    let name = host.hasPrefix("[") ? host.prefix { $0 != "]" } + "]" : host.prefix { $0 != ":" }
    return ["127.0.0.1", "localhost", "[::1]"].contains(name) ? nil : "is http, which is for this machine only"
}
