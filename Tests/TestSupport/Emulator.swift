package import BigQueryWarehouse
import EmbeddedWarehouse
package import Foundation
import HTTPTransport
import Logging
package import Warehouse
import WarehouseKit

/// BigQuery's client in front of the emulator, in a project of its own.
package struct EmulatedBigQuery {
    package let project: String
    package let warehouse: BigQueryWarehouse
    private let emulator: EmulatorProcess

    package init(project: String) async throws {
        self.project = project
        emulator = try await EmulatorProcess.shared
        warehouse = BigQueryWarehouse(
            project: ProjectID(project)!, location: "US", baseURL: emulator.url, transport: CurlTransport(),
            credentials: nil, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// How many requests this project has seen so far.
    package var requests: Int {
        get async throws { try await emulator.requestCounts(project: project).total }
    }
}

/// The warehouses on which the jobs of quotas and billing are tested; each test gets a new one.
package enum Backend: String, CaseIterable, Sendable {
    #if EmbeddedWarehouse
        case embedded
    #endif
    case emulator

    /// - Parameter project: On the emulator, which all tests share, the test's own project.
    package func warehouse(_ project: String) async throws -> any Warehouse {
        switch self {
        #if EmbeddedWarehouse
            case .embedded: try EmbeddedWarehouse(path: ":memory:")
        #endif
        case .emulator: try await EmulatedBigQuery(project: project).warehouse
        }
    }
}

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

/// How many HTTP requests the emulator was sent.
package struct EmulatorRequestCounts: Sendable, Equatable {
    package let total: Int
    /// The most requests that were under way at the same time.
    package let peakInFlight: Int
    /// By method and path with `*` for ids: `GET /projects/*/datasets/*/tables`.
    package let routes: [String: Int]

    init(json: Data) throws {
        let object = try JSONSerialization.jsonObject(with: json) as? [String: Any]
        guard let total = object?["total"] as? Int, let peak = object?["peakInFlight"] as? Int,
            let routes = object?["routes"] as? [String: Int]
        else { throw CocoaError(.coderReadCorrupt) }
        self.total = total
        peakInFlight = peak
        self.routes = routes
    }
}
