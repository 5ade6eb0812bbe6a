import Foundation
import TestSupport

/// A throw-away authority and a certificate from it for `localhost`, made by the `openssl` program.
final class CertificateAuthority {
    private let directory: URL

    init() async throws {
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

    var authorityFile: String { path("ca.pem") }
    var certificateFile: String { path("certificate.pem") }
    var keyFile: String { path("key.pem") }

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
