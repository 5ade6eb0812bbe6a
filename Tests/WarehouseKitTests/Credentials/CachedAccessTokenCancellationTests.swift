import JobRuntime
import Synchronization
import Testing
import WarehouseKit

@Suite struct CredentialsCacheCancellationTests {
    @Test func oneCallersCancellationIsNotTheOthers() async throws {
        let fetch = HeldFetch()
        let (calls, call) = AsyncStream.makeStream(of: Void.self)
        let cache = CachedAccessToken(
            source: fetch,
            now: {
                call.yield()
                return CredentialFixture.start
            })
        var called = calls.makeAsyncIterator()
        let first = Task { try await cache.token() }
        await called.next()
        let second = Task { try await cache.token() }
        await called.next()

        first.cancel()

        await #expect(throws: CancellationError.self) { try await first.value }
        fetch.release()
        #expect(try await second.value == "token-1")
        #expect(fetch.begun == 1)
        #expect(fetch.cancelled == 0)
    }

    @Test func theFetchEndsWithItsLastCallerAndTheNextOneStartsAnother() async throws {
        let fetch = HeldFetch()
        let cache = CachedAccessToken(source: fetch, now: { CredentialFixture.start })
        let only = Task { try await cache.token() }
        await fetch.hasBegun()

        only.cancel()

        await #expect(throws: CancellationError.self) { try await only.value }
        await fetch.wasCancelled()
        fetch.release()
        #expect(try await cache.token() == "token-2")
    }

    @Test func aCancelledCallerStartsNothing() async throws {
        let fetch = HeldFetch()
        let cache = CachedAccessToken(source: fetch, now: { CredentialFixture.start })

        let caller = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await cache.token()
        }

        await #expect(throws: CancellationError.self) { try await caller.value }
        #expect(fetch.begun == 0)
    }
}

/// A source whose fetches wait until the test lets them go, or until they are cancelled.
private final class HeldFetch: AccessTokenSource {
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
