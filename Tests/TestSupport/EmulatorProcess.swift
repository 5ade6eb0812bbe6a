package import Foundation

/// A running BigQuery emulator of this project (`Tests/Emulator`), on a free port.
///
/// It ends with the test process, however that ends. Tests share one; each takes a project id of its own, so that they
/// see neither each other's datasets nor each other's requests.
package final class EmulatorProcess: Sendable {
    package struct NotReady: Error, CustomStringConvertible {
        package let description = "the emulator ended before it was ready; its messages are above"
    }

    private static let sharedStart = Task { try await EmulatorProcess.start() }

    /// The emulator that this test process shares, started by whoever asks first.
    package static var shared: EmulatorProcess {
        get async throws { try await sharedStart.value }
    }

    /// `http://127.0.0.1:PORT`, the value for `BIGQUERY_EMULATOR_HOST`.
    package var url: String { "http://127.0.0.1:\(port)" }

    private let port: UInt16
    private let process: Process

    private init(port: UInt16, process: Process) {
        self.port = port
        self.process = process
    }

    /// Starts another emulator; `delayMilliseconds` makes each of its requests wait.
    package static func start(delayMilliseconds: Int = 0) async throws -> EmulatorProcess {
        let python = try ProjectPython()
        return try await onOwnThread {
            let process = python.process(
                "Tests/Emulator/emulator.py",
                arguments: [
                    "--delay-ms", String(delayMilliseconds), "--exit-with",
                    String(ProcessInfo.processInfo.processIdentifier),
                ])
            let output = Pipe()
            process.standardOutput = output
            try process.run()
            guard let port = readyPort(from: output.fileHandleForReading) else { throw NotReady() }
            return EmulatorProcess(port: port, process: process)
        }
    }

    /// What was asked of the emulator since it started or since `resetRequestCounts`, by one project or by all.
    package func requestCounts(project: String? = nil) async throws -> EmulatorRequestCounts {
        try EmulatorRequestCounts(json: await control("GET", project: project))
    }

    package func resetRequestCounts(project: String? = nil) async throws {
        _ = try await control("DELETE", project: project)
    }

    /// What a GET below `/bigquery/v2` answers, without any of the code under test; an error unless that is 200.
    package func resource(_ path: String) async throws -> Data {
        let port = port
        return try await onOwnThread { try LoopbackExchange.body("GET", "/bigquery/v2\(path)", port: port) }
    }

    private func control(_ method: String, project: String?) async throws -> Data {
        let port = port
        let path = "/_requests" + (project.map { "?project=\($0)" } ?? "")
        return try await onOwnThread { try LoopbackExchange.body(method, path, port: port) }
    }

    /// Ends the emulator and waits for it.
    package func stop() async throws {
        let process = process
        try await onOwnThread {
            // Not terminate(): a child of a thread that blocks SIGTERM, as Dispatch's do, blocks it too.
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
    }
}
