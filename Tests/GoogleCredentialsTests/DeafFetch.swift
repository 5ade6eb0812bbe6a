import GoogleCredentials
import JobRuntime
import Synchronization

/// A source whose fetches end when the test says so, and take no notice of being cancelled.
final class DeafFetch: AccessTokenSource {
    let origin = "test"
    private let pending = Mutex<[CheckedContinuation<AccessToken, any Error>]>([])
    private let beginning = AsyncStream.makeStream(of: Void.self)

    func hasBegun() async {
        for await _ in beginning.stream { return }
    }

    func answer(_ number: Int, with token: String) {
        let fetch = pending.withLock { $0[number] }
        fetch.resume(
            returning: AccessToken(value: token, expiresAt: CredentialFixture.start.adding(.seconds(3600))))
    }

    func fetchToken() async throws -> AccessToken {
        try await withCheckedThrowingContinuation { fetch in
            pending.withLock { $0.append(fetch) }
            beginning.continuation.yield()
        }
    }
}
