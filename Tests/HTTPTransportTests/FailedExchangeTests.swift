import Foundation
import Glibc
import HTTPTransport
import Synchronization
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

/// An error says that a request was surely not sent, or that nobody knows.
@Suite struct CertaintyTests {
    private func failure(
        of request: HTTPRequest, _ configuration: CurlTransport.Configuration = .init()
    ) async -> HTTPTransportError? {
        await #expect(throws: HTTPTransportError.self) { _ = try await CurlTransport(configuration).send(request) }
    }

    @Test(arguments: [
        (ScriptedReply.reset, HTTPTransportError.Code.connectionLost), (.closeWithoutReply, .connectionLost),
        (.rawBytes(Data("this is not HTTP\r\n\r\n".utf8)), .connectionLost),
        (.truncated(Data(repeating: 65, count: 10_000), afterBytes: 4_000), .truncatedBody),
        (.text("", headers: ["X-Long": String(repeating: "a", count: 20_000)]), .bodyTooLarge),
        (.init(headers: ["Content-Encoding": "gzip"], body: Data("no gzip".utf8)), .invalidCompressedBody),
        (.init(headers: ["Content-Encoding": "br"], body: Data("x".utf8)), .invalidCompressedBody),
    ])
    func isUnknownWhereTheServerHadTheRequest(reply: ScriptedReply, code: HTTPTransportError.Code) async throws {
        let server = try ScriptedServer(replies: [reply])
        var configuration = CurlTransport.Configuration()
        configuration.maxResponseBytes = 10_000

        let error = await failure(of: HTTPRequest(.post, server.url), configuration)

        #expect(error?.code == code)
        #expect(error?.certainty == .unknown)
        #expect(server.requests.count == 1)
    }

    /// The timeout grows until the request arrives within it, so that a busy machine cannot decide the test.
    @Test(arguments: [
        ScriptedReply.delayed(.seconds(3600), .text("late")), .stalled(Data(repeating: 65, count: 100), afterBytes: 50),
    ])
    func isUnknownForATimeoutAfterTheRequestWasSent(reply: ScriptedReply) async throws {
        for milliseconds in [50, 500, 5_000, 50_000] {
            let server = try ScriptedServer(replies: [reply])

            let error = await failure(of: HTTPRequest(.post, server.url, timeout: .milliseconds(milliseconds)))

            #expect(error?.code == .timedOut)
            if server.requests.isEmpty { continue }
            #expect(error?.certainty == .unknown)
            return
        }
        Issue.record("no request arrived")
    }

    @Test func isNotDoneForATimeoutBeforeTheConnection() async throws {
        let listener = try FullListener()

        let error = await failure(
            of: HTTPRequest(.post, "http://127.0.0.1:\(listener.port)/", timeout: .milliseconds(100)))

        #expect(error?.code == .timedOut)
        #expect(error?.certainty == .notDone)
    }

    @Test func isNotDoneWhereThereIsNoWayToTheServer() async throws {
        let gone = try ScriptedServer(replies: [])
        gone.stop()
        let plain = try ScriptedServer { _ in .text("this server speaks no TLS") }
        var withoutAuthorities = CurlTransport.Configuration()
        withoutAuthorities.certificateAuthorityFile = "/no/such/file.pem"

        let refused = await failure(of: HTTPRequest(.post, gone.url))
        let unresolved = await failure(of: HTTPRequest(.post, "http://no-such-host.invalid/"))
        let untrusted = await failure(of: HTTPRequest(.post, "https://localhost:\(plain.port)/"), withoutAuthorities)
        let invalid = await failure(of: HTTPRequest(.post, "http://user:secret@127.0.0.1/"))

        #expect([refused, unresolved, untrusted, invalid].map(\.?.certainty) == Array(repeating: .notDone, count: 4))
        #expect(
            [refused, unresolved, untrusted, invalid].map(\.?.code)
                == [.connectionFailed, .nameNotResolved, .tlsFailed, .invalidRequest])
    }

    /// libcurl opens a second connection when a kept one dies. The error is about the second, the request went to the first.
    @Test func isUnknownWhereAKeptConnectionTookTheRequestAndTheNextIsRefused() async throws {
        let current = Mutex<ScriptedServer?>(nil)
        let server = try ScriptedServer { request in
            if request.index == 0 { return .text("ok") }
            current.withLock { $0 }?.stop()
            return .closeWithoutReply
        }
        current.withLock { $0 = server }
        defer { current.withLock { $0 = nil } }
        let transport = CurlTransport()
        _ = try await transport.send(HTTPRequest(.get, server.url))

        let error = await #expect(throws: HTTPTransportError.self) {
            _ = try await transport.send(HTTPRequest(.post, server.url))
        }

        #expect(error?.code == .connectionFailed)
        #expect(error?.certainty == .unknown)
        #expect(server.requests.count == 2)
    }
}

/// A listening socket whose queue is full, so that further connections wait forever.
final class FullListener {
    let port: UInt16
    private var sockets: [Int32] = []

    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        sockets.append(listener)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, size) == 0 && listen(listener, 0) == 0
                    ? getsockname(listener, address, &size) : -1
            }
        }
        guard result == 0 else { throw POSIXError(.EIO) }
        port = UInt16(bigEndian: address.sin_port)
        for _ in 1...4 {
            let filler = socket(
                AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
            sockets.append(filler)
            _ = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(filler, $0, size) }
            }
        }
    }

    deinit { sockets.forEach { close($0) } }
}
