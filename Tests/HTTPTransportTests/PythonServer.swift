import Foundation
import Glibc

/// A Python program that prints the port it listens on; killed when it is released.
final class PythonServer {
    let port: Int
    private let process = Process()

    /// That of the virtual environment which `scripts/test.sh` makes.
    static var projectPython: String {
        // Not standardised: that would resolve the link by which Python finds its environment.
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return root.deletingLastPathComponent().appendingPathComponent(".venv/bin/python").path
    }

    /// Ends with an error when the program does, before it printed a port.
    init(_ program: String, python: String = "python3", arguments: [String]) throws {
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [python, "-c", program] + arguments
        process.standardOutput = output
        try process.run()
        var line = ""
        while !line.hasSuffix("\n") {
            let byte = output.fileHandleForReading.readData(ofLength: 1)
            if byte.isEmpty { break }
            line += String(decoding: byte, as: UTF8.self)
        }
        guard let port = Int(line.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            process.terminate()
            throw Failure(description: "\(python) did not start the server")
        }
        self.port = port
    }

    deinit {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }
}
