import Dispatch
import GoogleCredentials
import JobRuntime
import Synchronization
import TestSupport
import Testing

@Suite struct CredentialsCacheTests {
    /// A cache over a server whose answers a test gives.
    private func cache(_ replies: [ScriptedReply]) throws -> (CredentialFixture, CachedAccessToken) {
        let fixture = try CredentialFixture(replies: replies)
        try fixture.write(fixture.authorizedUser())
        return (fixture, CachedAccessToken(source: try fixture.find(), now: fixture.now))
    }

    @Test func renewsBeforeTheEnd() async throws {
        let (fixture, cache) = try cache([.token("first", expiresIn: "3600"), .token("second", expiresIn: "3600")])

        let atOnce = try await cache.token()
        fixture.advance(by: .seconds(3600 - 226))
        let before = try await cache.token()
        fixture.advance(by: .seconds(1))
        let after = try await cache.token()

        #expect([atOnce, before, after] == ["first", "first", "second"])
        #expect(fixture.server.requests.count == 2)
    }

    /// The metadata server hands out what is left of a token.
    @Test func keepsAShortTokenForHalfOfItsLife() async throws {
        let (fixture, cache) = try cache([.token("first", expiresIn: "100"), .token("second", expiresIn: "100")])

        let atOnce = try await cache.token()
        fixture.advance(by: .seconds(49))
        let before = try await cache.token()
        fixture.advance(by: .seconds(1))
        let after = try await cache.token()

        #expect([atOnce, before, after] == ["first", "first", "second"])
    }

    @Test func fetchesAnewAfterA401() async throws {
        let (fixture, cache) = try cache([.token("first"), .token("second")])
        let first = try await cache.token()

        await cache.reject(first)
        let second = try await cache.token()
        await cache.reject(first)
        let third = try await cache.token()

        #expect([first, second, third] == ["first", "second", "second"])
        #expect(fixture.server.requests.count == 2)
        #expect(fixture.server.unexpected.isEmpty)
    }

    @Test func goesOnWithTheOldTokenWhileTheServerIsDown() async throws {
        let down = [ScriptedReply](repeating: .text("", status: 503), count: 3)
        let (fixture, cache) = try cache([.token("first", expiresIn: "3600")] + down + down + down)

        _ = try await cache.token()
        fixture.advance(by: .seconds(3400))
        let early = try await cache.token()
        let atOnce = try await cache.token()
        #expect(fixture.server.requests.count == 4)
        fixture.advance(by: .seconds(30))
        let later = try await cache.token()
        #expect(fixture.server.requests.count == 7)
        fixture.advance(by: .seconds(170))

        #expect([early, atOnce, later] == ["first", "first", "first"])
        let error = await #expect(throws: CredentialsError.self) { try await cache.token() }
        #expect(error?.code == .unavailable)
        #expect(fixture.server.requests.count == 10)
    }

    @Test func aRejectedTokenIsNotTheOldOneToGoOnWith() async throws {
        let (fixture, cache) = try cache([.token("first"), .json(#"{"error": "invalid_grant"}"#, status: 400)])

        await cache.reject(try await cache.token())

        let error = await #expect(throws: CredentialsError.self) { try await cache.token() }
        #expect(error?.message == "invalid_grant (HTTP 400)")
        #expect(fixture.server.requests.count == 2)
    }

    @Test func recoversAfterAFirstFailure() async throws {
        let (_, cache) = try cache([.json(#"{"error": "invalid_grant"}"#, status: 400), .token("second")])

        await #expect(throws: CredentialsError.self) { try await cache.token() }
        let token = try await cache.token()

        #expect(token == "second")
    }
}

@Suite(.timeLimit(.minutes(30))) struct CredentialsCacheConcurrencyTests {
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

    @Test func theLateAnswerOfAnAbandonedFetchIsDropped() async throws {
        let fetch = DeafFetch()
        let cache = CachedAccessToken(source: fetch, now: { CredentialFixture.start })
        let first = Task { try await cache.token() }
        await fetch.hasBegun()
        first.cancel()
        await #expect(throws: CancellationError.self) { try await first.value }
        let second = Task { try await cache.token() }
        await fetch.hasBegun()

        fetch.answer(0, with: "late")
        fetch.answer(1, with: "in time")

        #expect(try await second.value == "in time")
        #expect(try await cache.token() == "in time")
    }

    @Test func twentyCallersAtOnceAreOneRequest() async throws {
        let called = Mutex(0)
        let allCalled = DispatchSemaphore(value: 0)
        let fixture = try CredentialFixture { request in
            if request.index == 0 { allCalled.wait() }
            return .token("token-\(request.index)")
        }
        try fixture.write(fixture.authorizedUser())
        let cache = CachedAccessToken(
            source: try fixture.find(),
            now: {
                // The cache asks for the time when a caller has got to it.
                if called.withLock({
                    $0 += 1; return $0 == 20
                }) {
                    allCalled.signal()
                }
                return CredentialFixture.start
            })

        let tokens = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<20 { group.addTask { try await cache.token() } }
            return try await group.reduce(into: []) { $0.append($1) }
        }

        #expect(tokens == [String](repeating: "token-0", count: 20))
        #expect(fixture.server.requests.count == 1)
    }
}
