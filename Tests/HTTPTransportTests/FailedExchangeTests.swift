import Foundation
import Glibc
import HTTPTransport
import TestSupport
import Testing

@Suite struct FailedExchangeTests {
    @Test(arguments: [
        (ScriptedReply.reset, HTTPTransportError.Code.connectionLost),
        (.closeWithoutReply, .connectionLost),
        (.rawBytes(Data("this is not HTTP\r\n\r\n".utf8)), .connectionLost),
        (.truncated(Data(repeating: 65, count: 10_000), afterBytes: 4_000), .truncatedBody),
        (.rawBytes(Data("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab".utf8)), .truncatedBody),
        (.delayed(.seconds(3600), .text("late")), .timedOut),
        (.stalled(Data(repeating: 65, count: 10_000), afterBytes: 4_000), .timedOut),
    ])
    func hasACodeOfItsOwn(reply: ScriptedReply, code: HTTPTransportError.Code) async throws {
        let server = try ScriptedServer(replies: [reply, .text("next")])
        let transport = CurlTransport()
        let timeout = Duration.milliseconds(code == .timedOut ? 100 : 30_000)
        let request = HTTPRequest(
            .post, server.url + "/path?key=secret", headers: ["Authorization": "Bearer secret"],
            body: Data("secret".utf8), timeout: timeout)

        let error = await #expect(throws: HTTPTransportError.self) { _ = try await transport.send(request) }

        #expect(error?.code == code)
        #expect(error?.isRetryable == true)
        #expect(error?.operation == "POST 127.0.0.1:\(server.port)/path")
        #expect(error?.description.contains("secret") == false)
        #expect(try await transport.send(HTTPRequest(.get, server.url)).body == Data("next".utf8))
    }

    @Test(arguments: [HTTPRequest.Method.get, .post])
    func neverSendsTheRequestAgainByItself(method: HTTPRequest.Method) async throws {
        let server = try ScriptedServer(replies: [.text("ok"), .closeWithoutReply])
        let transport = CurlTransport()
        _ = try await transport.send(HTTPRequest(.get, server.url))

        let error = await #expect(throws: HTTPTransportError.self) {
            _ = try await transport.send(HTTPRequest(method, server.url))
        }

        #expect(error?.code == .connectionLost)
        #expect(server.requests.map(\.connection) == [0, 0])
        #expect(server.unexpected == [])
    }

    @Test func refusedConnection() async throws {
        let server = try ScriptedServer(replies: [])
        server.stop()

        let error = await #expect(throws: HTTPTransportError.self) {
            _ = try await CurlTransport().send(HTTPRequest(.get, server.url))
        }

        #expect(error?.code == .connectionFailed)
        #expect(error?.isRetryable == true)
    }

    @Test func unknownHost() async throws {
        let error = await #expect(throws: HTTPTransportError.self) {
            _ = try await CurlTransport().send(HTTPRequest(.get, "http://no-such-host.invalid/"))
        }

        #expect(error?.code == .nameNotResolved)
        #expect(error?.isRetryable == true)
    }

    @Test func hostThatDoesNotAnswerTheConnection() async throws {
        // The kernel leaves connections unanswered while a listener's queue is full.
        let listener = try FullListener()
        var configuration = CurlTransport.Configuration()
        configuration.connectTimeout = .milliseconds(100)
        configuration.timeout = .seconds(3600)
        let transport = CurlTransport(configuration)

        let error = await #expect(throws: HTTPTransportError.self) {
            _ = try await transport.send(HTTPRequest(.get, "http://127.0.0.1:\(listener.port)/"))
        }

        #expect(error?.code == .timedOut)
    }

    @Test(arguments: [
        ScriptedReply.text(String(repeating: "a", count: 20_000)),
        .rawBytes(Data("HTTP/1.1 200 OK\r\n\r\n".utf8) + Data(repeating: 65, count: 20_000)),
        .text("", headers: ["X-Long": String(repeating: "a", count: 20_000)]),
    ])
    func responseOverTheBound(reply: ScriptedReply) async throws {
        let server = try ScriptedServer(replies: [reply])
        var configuration = CurlTransport.Configuration()
        configuration.maxResponseBytes = 10_000
        let transport = CurlTransport(configuration)

        let error = await #expect(throws: HTTPTransportError.self) {
            _ = try await transport.send(HTTPRequest(.get, server.url))
        }

        #expect(error?.code == .bodyTooLarge)
        #expect(error?.isRetryable == false)
    }
}
