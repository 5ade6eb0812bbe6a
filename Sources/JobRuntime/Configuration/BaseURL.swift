/// Checks the URL of a service that gets a secret, for `EnvironmentReader.string`. Returns the problem, or `nil`.
///
/// The URL must be https, or http to this machine. It must not have a user, a query or a fragment.
package func problemOfSecureURL(_ url: String) -> String? {
    let isSecure = url.hasPrefix("https://")
    guard isSecure || url.hasPrefix("http://") else { return "does not begin with https://" }
    let rest = url.dropFirst(isSecure ? 8 : 7)
    let isPlain = rest.unicodeScalars.allSatisfy {
        $0.value > 0x20 && $0.value < 0x7F && !"?#@\\\"<>".unicodeScalars.contains($0)
    }
    let host = rest.prefix { $0 != "/" }
    guard isPlain, !host.isEmpty else { return "is not the URL of a service" }
    if isSecure { return nil }
    let name = host.hasPrefix("[") ? host.prefix { $0 != "]" } + "]" : host.prefix { $0 != ":" }
    return ["127.0.0.1", "localhost", "[::1]"].contains(name) ? nil : "is http, which is for this machine only"
}
