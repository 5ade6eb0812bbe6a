import Foundation

/// A server in a Python process of its own, which prints a line that ends in its port when it is ready. It is killed when nobody
/// holds it any more.
package final class PythonServer: Sendable {
    package struct NotReady: Error, CustomStringConvertible {
        package let description: String
    }

    package let port: UInt16
    private let process: RunningJob

    /// - Parameter arguments: Those of `python`: a script of the repository, or `-c` and a program, with what it takes.
    package init(_ arguments: [String]) async throws {
        process = try ProjectPython.start(arguments)
        while !process.outputSoFar.contains("\n") {
            guard process.isRunning else {
                throw NotReady(description: "the server ended before it was ready: \(process.errorSoFar)")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        let line = process.outputSoFar.prefix { $0 != "\n" }
        guard let port = line.split(separator: " ").last.flatMap({ UInt16($0) }) else {
            throw NotReady(description: "the server names no port: \(line)")
        }
        self.port = port
    }

    /// Ends the server and waits for it.
    package func stop() async throws {
        process.send(SIGKILL)
        _ = try await process.outcome()
    }
}
