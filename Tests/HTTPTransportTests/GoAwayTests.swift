import Foundation
import HTTPTransport
import TestSupport
import Testing

/// Against a server that ends every HTTP/2 connection after fifty answers, as load balancers do from time to time.
@Suite(.timeLimit(.minutes(30))) struct GoAwayTests {
    /// Answers with the client's port. After fifty answers it says GOAWAY and closes the connection; requests on their way by
    /// then are above the last stream that GOAWAY names, so they were not worked on.
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
                            // Those on their way: whether to repeat them is for the caller to decide.
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
