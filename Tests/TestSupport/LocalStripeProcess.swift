import Foundation

/// A running localstripe, a third-party stateful Stripe server of an older API shape (plans instead of prices, the period in
/// the subscription), on a free port. It ends with the test process, however that ends.
package final class LocalStripeProcess: Sendable {
    /// `http://127.0.0.1:PORT`, the value for `STRIPE_API_BASE`.
    package var url: String { "http://127.0.0.1:\(server.port)" }

    private let server: PythonServer

    private init(_ server: PythonServer) {
        self.server = server
    }

    package static func start() async throws -> LocalStripeProcess {
        LocalStripeProcess(
            try await PythonServer([
                Repository.path("Tests/LocalStripe/localstripe_server.py"), "--exit-with",
                String(ProcessInfo.processInfo.processIdentifier),
            ]))
    }
}
