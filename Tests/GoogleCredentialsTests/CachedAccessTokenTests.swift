import GoogleCredentials
import JobRuntime
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
