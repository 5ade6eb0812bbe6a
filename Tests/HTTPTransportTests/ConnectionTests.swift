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

    @Test func waitingForAConnectionDoesNotCountTowardsTheTimeout() async throws {
        let server = try ScriptedServer { request in
            request.path == "/first" ? .delayed(.milliseconds(1500), .text("1")) : .text("2")
        }
        var configuration = CurlTransport.Configuration()
        configuration.maxConnections = 1
        let transport = CurlTransport(configuration)
        let url = server.url

        async let first = transport.send(HTTPRequest(.get, url + "/first"))
        while server.requests.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
        let second = try await transport.send(HTTPRequest(.get, url + "/second", timeout: .seconds(1)))

        #expect(second.body == Data("2".utf8))
        #expect(try await first.body == Data("1".utf8))
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
