package import Foundation

/// A running BigQuery emulator of this project (`Tests/Emulator`), on a free port.
///
/// It ends with the test process, however that ends. Tests share one; each takes a project id of its own, so that they
/// see neither each other's datasets nor each other's requests.
package final class EmulatorProcess: Sendable {
    private static let sharedStart = Task { try await EmulatorProcess.start() }

    /// The emulator that this test process shares, started by whoever asks first.
    package static var shared: EmulatorProcess {
        get async throws { try await sharedStart.value }
    }

    /// `http://127.0.0.1:PORT`, the value for `BIGQUERY_EMULATOR_HOST`.
    package var url: String { "http://127.0.0.1:\(server.port)" }

    private var port: UInt16 { server.port }
    private let server: PythonServer

    private init(_ server: PythonServer) {
        self.server = server
    }

    /// Starts another emulator; `delayMilliseconds` makes each of its requests wait.
    package static func start(delayMilliseconds: Int = 0) async throws -> EmulatorProcess {
        EmulatorProcess(
            try await PythonServer([
                Repository.path("Tests/Emulator/emulator.py"), "--delay-ms", String(delayMilliseconds), "--exit-with",
                String(ProcessInfo.processInfo.processIdentifier),
            ]))
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
    package func stop() async throws { try await server.stop() }
}
