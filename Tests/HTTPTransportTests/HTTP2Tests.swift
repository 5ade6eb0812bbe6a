import Foundation
import HTTPTransport
import TestSupport
import Testing

/// Against hypercorn, from the virtual environment that `scripts/test.sh` makes.
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
