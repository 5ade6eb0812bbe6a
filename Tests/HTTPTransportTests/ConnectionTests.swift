import Foundation
import HTTPTransport
import TestSupport
import Testing

@Suite struct ConnectionTests {
    @Test func keepsTheConnectionForTheNextRequest() async throws {
        let server = try ScriptedServer { _ in .text("ok") }
        let transport = CurlTransport()

        for _ in 1...10 {
            _ = try await transport.send(HTTPRequest(.get, server.url))
        }

        #expect(server.requests.map(\.connection) == Array(repeating: 0, count: 10))
    }

    @Test func carriesManyRequestsAtOnceWithinTheBoundOnConnections() async throws {
        let server = try ScriptedServer { request in .delayed(.milliseconds(5), .text(request.path)) }
        var configuration = CurlTransport.Configuration()
        configuration.maxConnections = 8
        let transport = CurlTransport(configuration)
        let url = server.url

        let paths = try await withThrowingTaskGroup(of: String.self) { group in
            for number in 0..<50 {
                group.addTask {
                    String(
                        decoding: try await transport.send(HTTPRequest(.get, "\(url)/\(number)")).body, as: UTF8.self)
                }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }

        #expect(paths == Set((0..<50).map { "/\($0)" }))
        #expect(server.requests.count == 50)
        #expect((2...8).contains(server.connections))
    }

    /// The first request keeps the only connection for longer than the second may take. On a busy machine the second may be
    /// too slow even when its turn has come; then both are repeated with more time.
    @Test func waitingForAConnectionDoesNotCountTowardsTheTimeout() async throws {
        for timeout in [Duration.milliseconds(200), .seconds(2), .seconds(20)] {
            let server = try ScriptedServer { request in
                request.path == "/first" ? .delayed(timeout * 3 / 2, .text("1")) : .text("2")
            }
            var configuration = CurlTransport.Configuration()
            configuration.maxConnections = 1
            let transport = CurlTransport(configuration)
            let url = server.url

            async let first = transport.send(HTTPRequest(.get, url + "/first", timeout: .seconds(3600)))
            while server.requests.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
            let second: HTTPResponse
            do {
                second = try await transport.send(HTTPRequest(.get, url + "/second", timeout: timeout))
            } catch let error as HTTPTransportError where error.code == .timedOut {
                _ = try await first
                continue
            }

            #expect(second.body == Data("2".utf8))
            #expect(try await first.body == Data("1".utf8))
            return
        }
        Issue.record("the second request never came in time")
    }

    @Test func closesItsConnectionsWhenItIsReleased() async throws {
        let server = try ScriptedServer { request in
            request.path == "/count" ? .text("") : .delayed(.seconds(3600), .text("late"))
        }
        weak var released: CurlTransport?
        do {
            let transport = CurlTransport()
            released = transport
            _ = try await transport.send(HTTPRequest(.get, server.url + "/count"))
            #expect(server.openConnections == 1)
        }

        #expect(released == nil)
        while server.openConnections > 0 { try await Task.sleep(for: .milliseconds(1)) }
    }
}

@Suite struct CancellationTests {
    @Test func abandonsARequestInFlight() async throws {
        let server = try ScriptedServer { request in
            request.path == "/slow" ? .delayed(.seconds(3600), .text("late")) : .text("next")
        }
        let transport = CurlTransport()
        let url = server.url
        let call = Task { try await transport.send(HTTPRequest(.get, url + "/slow", timeout: .seconds(3600))) }
        while server.requests.isEmpty { try await Task.sleep(for: .milliseconds(1)) }

        call.cancel()

        await #expect(throws: CancellationError.self) { _ = try await call.value }
        #expect(try await transport.send(HTTPRequest(.get, url)).body == Data("next".utf8))
    }

    @Test func sendsNothingForATaskThatIsCanceledAlready() async throws {
        let server = try ScriptedServer(replies: [])
        let transport = CurlTransport()
        let url = server.url

        let call = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await transport.send(HTTPRequest(.get, url))
        }

        await #expect(throws: CancellationError.self) { _ = try await call.value }
        #expect(server.connections == 0)
    }

    @Test func abandonsRequestsThatWaitForTheirTurn() async throws {
        let server = try ScriptedServer { request in
            request.path == "/slow" ? .delayed(.seconds(3600), .text("late")) : .text("next")
        }
        var configuration = CurlTransport.Configuration()
        configuration.maxConnections = 1
        let transport = CurlTransport(configuration)
        let url = server.url
        let first = Task { try await transport.send(HTTPRequest(.get, url + "/slow", timeout: .seconds(3600))) }
        while server.requests.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
        let waiting = (1...20).map { number in
            Task { try await transport.send(HTTPRequest(.get, "\(url)/\(number)", timeout: .seconds(3600))) }
        }

        for call in waiting { call.cancel() }

        for call in waiting { await #expect(throws: CancellationError.self) { _ = try await call.value } }
        #expect(server.requests.count == 1)
        first.cancel()
        await #expect(throws: CancellationError.self) { _ = try await first.value }
        #expect(try await transport.send(HTTPRequest(.get, url)).body == Data("next".utf8))
    }

    /// Each call ends once and the transport goes on, whether the answer or the cancellation comes first.
    @Test func racesWithAnswersAreSettled() async throws {
        let server = try ScriptedServer { _ in .text("ok") }
        let transport = CurlTransport()
        let url = server.url

        await withTaskGroup(of: Void.self) { group in
            for number in 0..<400 {
                group.addTask {
                    let call = Task { try await transport.send(HTTPRequest(.get, url)) }
                    for _ in 0..<(number % 50) { await Task.yield() }
                    call.cancel()
                    do {
                        #expect(try await call.value.body == Data("ok".utf8))
                    } catch {
                        #expect(error is CancellationError)
                    }
                }
            }
        }

        #expect(try await transport.send(HTTPRequest(.get, url)).body == Data("ok".utf8))
    }
}
