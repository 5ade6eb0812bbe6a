import HTTPTransport

/// Checks the URL of a service that gets a secret, for `EnvironmentReader.string`. Returns the problem, or `nil`.
///
/// The URL must be https, or http to this machine. It must not have a user, a query or a fragment.
package func problemOfSecureURL(_ text: String) -> String? {
    do throws(HTTPURL.Problem) {
        let url = try HTTPURL(text, refusing: [.query, .fragment])
        return url.scheme == .https || url.isThisMachine ? nil : "is http, which is for this machine only"
    } catch {
        return error.rawValue
    }
}
