package import JobRuntime

/// A bearer token and the instant from which Google refuses it. The token prints and dumps as `***`.
package struct AccessToken: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package let value: String
    package let expiresAt: Timestamp

    package init(value: String, expiresAt: Timestamp) {
        self.value = value
        self.expiresAt = expiresAt
    }

    package var description: String { "*** (until \(expiresAt))" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["expiresAt": expiresAt]) }
}

/// A source of access tokens. Every call requests a new token; ``CachedAccessToken`` keeps one.
package protocol AccessTokenSource: Sendable {
    /// Requests a token. Throws ``CredentialsError`` after the retries that the token server asks for.
    func fetchToken() async throws -> AccessToken

    /// The place the credentials come from, for a log line. It never contains a secret.
    var origin: String { get }
}

/// Keeps the token of a source and renews it before it expires.
///
/// At most one fetch runs at a time, however many callers wait. A canceled caller leaves at once with
/// `CancellationError`. The other callers keep waiting, and the fetch is canceled only when its last caller leaves.
package actor CachedAccessToken {
    private typealias Waiter = CheckedContinuation<AccessToken, any Error>

    /// Google's Python library uses the same margin: the metadata server returns the same token until about 4 minutes
    /// before it expires.
    private static let margin = Duration.seconds(225)
    /// After an early renewal fails, the old token stays in use for this long before the next attempt.
    private static let pauseAfterFailure = Duration.seconds(30)

    private let source: any AccessTokenSource
    private let now: @Sendable () -> Timestamp
    private var current: AccessToken?
    private var renewAt = Timestamp(microseconds: .min)
    private var fetch: Task<Void, Never>?
    private var fetchNumber = 0
    private var waiters: [Int: Waiter] = [:]
    private var nextWaiter = 0

    package init(source: any AccessTokenSource, now: @escaping @Sendable () -> Timestamp) {
        self.source = source
        self.now = now
    }

    /// Returns a token that is currently valid. If an early renewal fails, returns the old token for as long as it is
    /// valid.
    package func token() async throws -> String {
        let asked = now()
        if let current, asked < renewAt, asked < current.expiresAt { return current.value }
        do {
            return try await fetched().value
        } catch let error where !(error is CancellationError) {
            guard let current, now() < current.expiresAt else { throw error }
            return current.value
        }
    }

    /// Rejects a token. Call this after a 401 with the token that was sent. The next ``token()`` fetches a new one,
    /// unless a newer token has already arrived.
    package func reject(_ token: String) {
        guard current?.value == token else { return }
        current = nil
    }

    private func fetched() async throws -> AccessToken {
        let number = nextWaiter
        nextWaiter += 1
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (waiter: Waiter) in
                guard !Task.isCancelled else { return waiter.resume(throwing: CancellationError()) }
                waiters[number] = waiter
                startFetch()
            }
        } onCancel: {
            Task { await self.leave(number) }
        }
    }

    private func startFetch() {
        guard fetch == nil else { return }
        fetchNumber += 1
        let number = fetchNumber
        fetch = Task {
            do {
                self.finish(number, .success(try await self.source.fetchToken()))
            } catch {
                self.finish(number, .failure(error))
            }
        }
    }

    /// Drops the result of a fetch that no caller waits for anymore: the number of that fetch is no longer the current
    /// one.
    private func finish(_ number: Int, _ result: Result<AccessToken, any Error>) {
        guard number == fetchNumber, fetch != nil else { return }
        fetch = nil
        switch result {
        case .success(let token):
            let left = token.expiresAt.since(now())
            current = token
            renewAt = token.expiresAt.adding(.zero - min(Self.margin, left / 2))
        case .failure:
            renewAt = now().adding(Self.pauseAfterFailure)
        }
        let served = waiters
        waiters = [:]
        for waiter in served.values { waiter.resume(with: result) }
    }

    private func leave(_ number: Int) {
        guard let waiter = waiters.removeValue(forKey: number) else { return }
        waiter.resume(throwing: CancellationError())
        guard waiters.isEmpty else { return }
        fetch?.cancel()
        fetch = nil
    }
}
