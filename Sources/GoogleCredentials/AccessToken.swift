package import JobRuntime

/// A bearer token and the instant from which on Google refuses it; prints and dumps as `***`.
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

/// One way of getting an access token. Each call asks anew: ``CachedAccessToken`` is what keeps a token.
package protocol AccessTokenSource: Sendable {
    /// Throws ``CredentialsError``, after the retries that the token server asks for.
    func fetchToken() async throws -> AccessToken

    /// Where the credentials are from, for a log line; never a secret.
    var origin: String { get }
}

/// Keeps the token of a source and renews it before it expires.
///
/// However many callers wait, there is one fetch at a time. A cancelled caller leaves at once with `CancellationError`;
/// the others go on waiting, and the fetch is cancelled only with its last caller.
package actor CachedAccessToken {
    private typealias Waiter = CheckedContinuation<AccessToken, any Error>

    /// As Google's Python library: the metadata server hands out the same token until about 4 minutes before its end.
    private static let margin = Duration.seconds(225)
    /// After an early renewal failed, the old token serves this long before the next attempt.
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

    /// A token that is good for now. When an early renewal fails, that is the old one for as long as it is valid.
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

    /// Call this after a 401 with the token that was sent: the next ``token()`` fetches, unless there is a newer one by
    /// now.
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

    /// The answer of a fetch that nobody waits for any more is dropped: its number is no longer the current one.
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
