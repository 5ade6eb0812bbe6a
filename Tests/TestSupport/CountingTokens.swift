import BigQueryWarehouse
package import GoogleCredentials
package import JobRuntime
import Synchronization
import Warehouse

/// Hands out `token-1`, `token-2` and so on, or an error instead.
package final class CountingTokens: AccessTokenSource {
    package static let now = Timestamp("2026-01-31T00:00:00Z")!

    private let count = Mutex(0)
    private let error: CredentialsError?
    package let origin = "a test"

    package init(error: CredentialsError? = nil) {
        self.error = error
    }

    package var fetched: Int { count.withLock { $0 } }

    package func fetchToken() async throws -> AccessToken {
        let number = count.withLock { count in
            count += 1
            return count
        }
        if let error { throw error }
        return AccessToken(value: "token-\(number)", expiresAt: Self.now.adding(.seconds(3600)))
    }

    package var cached: CachedAccessToken { CachedAccessToken(source: self, now: { Self.now }) }
}
