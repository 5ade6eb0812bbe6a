import Foundation

/// A throw-away authority and a certificate from it for `localhost`, created by the `openssl` program.
package final class CertificateAuthority {
    private let directory: URL

    package init() async throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        try await openssl(
            ["req", "-x509"] + curve + ["-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.pem"])
        try await openssl(
            ["req"] + curve.dropLast(2) + ["-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "request.pem"])
        let extensions = directory.appendingPathComponent("extensions")
        try "subjectAltName=DNS:localhost\n".write(to: extensions, atomically: true, encoding: .utf8)
        try await openssl([
            "x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "extensions", "-out", "certificate.pem",
        ])
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    package var authorityFile: String { path("ca.pem") }
    package var certificateFile: String { path("certificate.pem") }
    package var keyFile: String { path("key.pem") }

    private func path(_ name: String) -> String { directory.appendingPathComponent(name).path }

    private func openssl(_ arguments: [String]) async throws {
        let outcome = try await RunningJob(
            "/usr/bin/env", arguments: ["openssl"] + arguments, environment: ProcessInfo.processInfo.environment,
            folder: directory.path
        ).outcome()
        guard outcome.exitCode == 0 else { throw Failure(description: outcome.error) }
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }
}

/// An HTTPS server for `localhost` on a free port of 127.0.0.1, which gives every request the same answer.
package struct TLSServer {
    private static let program = """
        import http.server, ssl, sys
        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = sys.argv[4].encode()
                self.send_response(int(sys.argv[3]))
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            do_GET = do_POST = answer
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

    private let process: PythonServer

    package init(_ authority: CertificateAuthority, status: Int = 200, body: String) async throws {
        process = try await PythonServer([
            "-c", Self.program, authority.certificateFile, authority.keyFile, String(status), body,
        ])
    }

    package var port: UInt16 { process.port }

    /// `https://localhost:PORT`, without a slash at its end.
    package var url: String { "https://localhost:\(port)" }
}
