import HTTPTransport

/// A check for `EnvironmentReader.string`: the fault in the URL of a service that gets a secret, or `nil`.
///
/// The URL must be https, or plain http to this machine, without user, query and fragment.
package func problemOfSecureURL(_ text: String) -> String? {
    do {
        let url = try HTTPURL(text, refusing: [.query, .fragment])
        return url.scheme == .https || url.isThisMachine ? nil : "is http, which is for this machine only"
    } catch .scheme {
        return "does not begin with https://"
    } catch {
        return error.rawValue
    }
}
