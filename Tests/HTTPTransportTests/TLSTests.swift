import Foundation
import HTTPTransport
import TestSupport
import Testing

@Suite struct TLSTests {
    private static let program = """
        import http.server, ssl, sys
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")
            def log_message(self, *arguments):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda request, client: None
        print(server.server_port, flush=True)
        server.serve_forever()
        """

    @Test func trustsTheGivenAuthorityOnly() async throws {
        let authority = try await CertificateAuthority()
        let server = try await PythonServer(["-c", Self.program, authority.certificateFile, authority.keyFile])
        var configuration = CurlTransport.Configuration()
        configuration.certificateAuthorityFile = authority.authorityFile
        let trusting = CurlTransport(configuration)

        let response = try await trusting.send(HTTPRequest(.get, "https://localhost:\(server.port)/"))
        let untrusted = await Self.failure(of: CurlTransport(), "https://localhost:\(server.port)/")
        let misnamed = await Self.failure(of: trusting, "https://127.0.0.1:\(server.port)/")

        #expect(response.body == Data("ok".utf8))
        #expect(untrusted?.code == .tlsFailed)
        #expect(misnamed?.code == .tlsFailed)
        #expect(untrusted?.isRetryable == false)
    }

    @Test func saysWhichAuthorityFileItCannotRead() async throws {
        let authority = try await CertificateAuthority()
        let server = try await PythonServer(["-c", Self.program, authority.certificateFile, authority.keyFile])
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
