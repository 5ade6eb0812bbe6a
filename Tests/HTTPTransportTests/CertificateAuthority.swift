import Foundation

/// A throw-away authority and a certificate from it for `localhost`, made by the `openssl` program.
final class CertificateAuthority {
    private let directory: URL

    init() throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        try openssl(
            ["req", "-x509"] + curve + ["-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.pem"])
        try openssl(
            ["req"] + curve.dropLast(2) + ["-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "request.pem"])
        let extensions = directory.appendingPathComponent("extensions")
        try "subjectAltName=DNS:localhost\n".write(to: extensions, atomically: true, encoding: .utf8)
        try openssl([
            "x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "extensions", "-out", "certificate.pem",
        ])
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    var authorityFile: String { path("ca.pem") }
    var certificateFile: String { path("certificate.pem") }
    var keyFile: String { path("key.pem") }

    private func path(_ name: String) -> String { directory.appendingPathComponent(name).path }

    private func openssl(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.currentDirectoryURL = directory
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw CocoaError(.fileWriteUnknown) }
    }
}
