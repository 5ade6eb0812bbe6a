import GoogleCredentials
import JobRuntime
import Synchronization

/// A source whose fetches wait until the test lets them go, or until they are cancelled.
final class HeldFetch: AccessTokenSource {
    let origin = "test"
    private let counts = Mutex((begun: 0, cancelled: 0))
    private let gate = AsyncStream.makeStream(of: Never.self)
    private let beginning = AsyncStream.makeStream(of: Void.self)
    private let cancellation = AsyncStream.makeStream(of: Void.self)

    var begun: Int { counts.withLock { $0.begun } }
    var cancelled: Int { counts.withLock { $0.cancelled } }

    func release() { gate.continuation.finish() }

    func hasBegun() async {
        for await _ in beginning.stream { return }
    }

    func wasCancelled() async {
        for await _ in cancellation.stream { return }
    }

    func fetchToken() async throws -> AccessToken {
        let number = counts.withLock { counts in
            counts.begun += 1
            return counts.begun
        }
        beginning.continuation.yield()
        // Ends when the stream does, and when the task is cancelled.
        for await _ in gate.stream {}
        if Task.isCancelled {
            counts.withLock { $0.cancelled += 1 }
            cancellation.continuation.yield()
            throw CancellationError()
        }
        return AccessToken(value: "token-\(number)", expiresAt: CredentialFixture.start.adding(.seconds(3600)))
    }
}
