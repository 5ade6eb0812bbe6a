import FoundationEssentials
import HTTPTransport

/// One POST to the API service. It is not repeated: the service reads the warehouse anyway, only later.
struct ServiceNotification {
    let target: NotificationSettings.Target
    let transport: any HTTPTransport

    /// - Returns: What went wrong, without the key; `nil` if the service took it, or if the run was stopped.
    func send(_ body: JSONText) async -> String? {
        let request = HTTPRequest(
            .post, target.url, headers: ["Content-Type": "application/json", "X-CA-Root-Key": target.key.value],
            body: Data(body.description.utf8), timeout: .seconds(5))
        do {
            let status = try await transport.send(request).status
            return (200..<300).contains(status) ? nil : "it answered with HTTP status \(status)"
        } catch is CancellationError {
            return nil
        } catch {
            return String(describing: error)
        }
    }
}
