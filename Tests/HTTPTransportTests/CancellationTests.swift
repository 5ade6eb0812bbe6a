import Foundation
import HTTPTransport
import TestSupport
import Testing

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

    @Test func sendsNothingForATaskThatIsCancelledAlready() async throws {
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

    /// Whatever comes first, the answer or the cancellation, each call ends once and the transport goes on.
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
