import Foundation
import HTTPTransport
import TestSupport
import Testing

@Suite struct TLSTests {
    @Test func trustsTheGivenAuthorityOnly() async throws {
        let authority = try await CertificateAuthority()
        let server = try await TLSServer(authority, body: "ok")
        var configuration = CurlTransport.Configuration()
        configuration.certificateAuthorityFile = authority.authorityFile
        let trusting = CurlTransport(configuration)

        let response = try await trusting.send(HTTPRequest(.get, "https://localhost:\(server.port)/"))
        let untrusted = await Self.failure(of: CurlTransport(), "https://localhost:\(server.port)/")
        let misnamed = await Self.failure(of: trusting, "https://127.0.0.1:\(server.port)/")

        #expect(response.body == Data("ok".utf8))
        #expect(untrusted?.code == .tlsFailed)
        #expect(misnamed?.code == .tlsFailed)
        #expect([untrusted?.certainty, misnamed?.certainty] == [.notDone, .notDone])
        #expect(untrusted?.isRetryable == false)
    }

    @Test func saysWhichAuthorityFileItCannotRead() async throws {
        let authority = try await CertificateAuthority()
        let server = try await TLSServer(authority, body: "ok")
        var configuration = CurlTransport.Configuration()
        configuration.certificateAuthorityFile = "/no/such/file.pem"

        let error = await Self.failure(of: CurlTransport(configuration), "https://localhost:\(server.port)/")

        #expect(error?.code == .tlsFailed)
        #expect(error?.message.contains("/no/such/file.pem") == true)
    }

    private static func failure(of transport: CurlTransport, _ url: String) async -> HTTPTransportError? {
        await #expect(throws: HTTPTransportError.self) { _ = try await transport.send(HTTPRequest(.get, url)) }
    }
}

/// These tests run against hypercorn, from the virtual environment that `scripts/test.sh` creates.
@Suite struct HTTP2Tests {
    /// Answers with protocol version, the client's port and the length of the body it got.
    private static let program = """
        import asyncio, socket, sys
        from hypercorn.asyncio import serve
        from hypercorn.config import Config
        async def app(scope, receive, send):
            if scope["type"] != "http":
                return
            length, more = 0, True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    return
                length, more = length + len(message.get("body", b"")), message.get("more_body", False)
            await asyncio.sleep(3600 if scope["path"] == "/slow" else 0.01)
            text = f'{scope["http_version"]} {scope["client"][1]} {length}'.encode()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": text})
        listener = socket.create_server(("127.0.0.1", 0))
        config = Config()
        config.bind = [f"fd://{listener.fileno()}"]
        config.certfile, config.keyfile = sys.argv[1:3]
        config.errorlog = None
        config.keep_alive_timeout = 3600
        print(listener.getsockname()[1], flush=True)
        asyncio.run(serve(app, config))
        """

    private let authority: CertificateAuthority
    private let server: PythonServer
    private let transport: CurlTransport
    private let url: String

    init() async throws {
        authority = try await CertificateAuthority()
        server = try await PythonServer(["-c", Self.program, authority.certificateFile, authority.keyFile])
        var configuration = CurlTransport.Configuration()
        configuration.certificateAuthorityFile = authority.authorityFile
        configuration.compressBodiesOver = nil
        transport = CurlTransport(configuration)
        url = "https://localhost:\(server.port)"
    }

    @Test func manyRequestsShareOneConnection() async throws {
        let answers = try await answers(to: Array(repeating: 0, count: 200))

        #expect(Set(answers.map { $0.prefix { $0 != " " } }) == ["2"])
        #expect(Set(answers).count == 1)
    }

    @Test func largeBodiesGoThroughSideBySide() async throws {
        let sizes = (1...40).map { $0 * 25_000 }

        let answers = try await answers(to: sizes)

        #expect(answers.map { Int($0.split(separator: " ")[2]) } == sizes)
        #expect(Set(answers.map { $0.split(separator: " ")[1] }).count == 1)
    }

    @Test func cancellingOneRequestLeavesTheConnectionToTheOthers() async throws {
        let before = try await answers(to: [0])
        let request = HTTPRequest(.get, url + "/slow", timeout: .seconds(3600))
        let slow = Task { [transport] in try await transport.send(request) }
        _ = try await answers(to: Array(repeating: 0, count: 10))

        slow.cancel()

        await #expect(throws: CancellationError.self) { _ = try await slow.value }
        #expect(try await answers(to: [0]) == before)
    }

    private func answers(to sizes: [Int]) async throws -> [String] {
        try await withThrowingTaskGroup(of: (Int, String).self) { group in
            for (index, size) in sizes.enumerated() {
                group.addTask { [transport, url] in
                    let request = HTTPRequest(.post, url, body: Data(repeating: 65, count: size))
                    return (index, String(decoding: try await transport.send(request).body, as: UTF8.self))
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }.sorted { $0.key < $1.key }.map(\.value)
        }
    }
}

/// These tests run against a server that ends every HTTP/2 connection after fifty answers, as load balancers do from time to time.
@Suite(.timeLimit(.minutes(30))) struct GoAwayTests {
    /// Answers with the client's port. After fifty answers it sends GOAWAY and closes the connection. Requests on their way by
    /// then are above the last stream that GOAWAY names, so the server did not work on them.
    private static let program = """
        import asyncio, ssl, sys
        import h2.config, h2.connection, h2.events
        async def serve(reader, writer):
            connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
            connection.initiate_connection()
            port = str(writer.get_extra_info("peername")[1]).encode()
            answered = 0
            while answered < 50:
                data = await reader.read(65536)
                if not data:
                    break
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived) and answered < 50:
                        connection.send_headers(event.stream_id, [(":status", "200")])
                        connection.send_data(event.stream_id, port, end_stream=True)
                        answered, last = answered + 1, event.stream_id
                if answered == 50:
                    connection.close_connection(last_stream_id=last)
                writer.write(connection.data_to_send())
                await writer.drain()
            writer.close()
        async def main():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*sys.argv[1:3])
            context.set_alpn_protocols(["h2"])
            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
            print(server.sockets[0].getsockname()[1], flush=True)
            await server.serve_forever()
        asyncio.run(main())
        """

    @Test func aConnectionThatTheServerEndsIsFollowedByAnother() async throws {
        let authority = try await CertificateAuthority()
        let server = try await PythonServer(["-c", Self.program, authority.certificateFile, authority.keyFile])
        var configuration = CurlTransport.Configuration()
        configuration.certificateAuthorityFile = authority.authorityFile
        let transport = CurlTransport(configuration)
        let url = "https://localhost:\(server.port)"

        let ports = try await withThrowingTaskGroup(of: [String].self) { group in
            for _ in 0..<8 {
                group.addTask {
                    var ports: [String] = []
                    while ports.count < 50 {
                        do {
                            let body = try await transport.send(HTTPRequest(.get, url)).body
                            ports.append(String(decoding: body, as: UTF8.self))
                        } catch let error as HTTPTransportError {
                            // The caller decides whether to repeat the requests that were on their way.
                            #expect(error.isRetryable && error.code == .connectionLost, "\(error)")
                        }
                    }
                    return ports
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }

        #expect(ports.count == 400)
        #expect(Set(ports).count >= 8)
    }
}
