package import BigQueryWarehouse
import EmbeddedWarehouse
package import Foundation
import HTTPTransport
import Logging
import Synchronization
package import Warehouse
import WarehouseKit

/// BigQuery's client in front of the emulator, in a project of its own.
package struct EmulatedBigQuery {
    package let project: String
    package let warehouse: BigQueryWarehouse
    package let emulator: EmulatorProcess

    package init(project: String) async throws {
        guard let id = ProjectID(project) else { throw UnusableProject(project: project) }
        self.project = project
        emulator = try await EmulatorProcess.shared(by: project)
        warehouse = BigQueryWarehouse(
            project: id, location: "US", baseURL: emulator.url, transport: CurlTransport(),
            credentials: nil, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    struct UnusableProject: Error, CustomStringConvertible {
        let project: String

        var description: String {
            "\(project) cannot be a project of the emulator: it must be 6 to 30 lowercase letters, digits and dashes"
        }
    }

    /// The number of requests of this project so far.
    package var requests: Int {
        get async throws { try await emulator.requestCounts(project: project).total }
    }

    /// The number of requests of this project for one route, such as `POST /projects/*/datasets/*/tables`.
    package func requests(for route: String) async throws -> Int {
        try await emulator.requestCounts(project: project).routes[route] ?? 0
    }
}

/// The warehouses on which the jobs of quotas and billing are tested; each test gets a new one.
package enum Backend: String, CaseIterable, Sendable {
    case embedded
    case emulator

    /// - Parameter project: The test's own project on the emulator. Other tests share the emulator.
    package func warehouse(_ project: String) async throws -> any Warehouse {
        switch self {
        case .embedded: try EmbeddedWarehouse(path: ":memory:")
        case .emulator: try await EmulatedBigQuery(project: project).warehouse
        }
    }
}

/// A running BigQuery emulator of this project (`Tests/Emulator`), on a free port.
///
/// It ends with the test process, however that ends. Tests share a few. Each test uses a project id of its own, so that tests
/// see neither each other's datasets nor each other's requests.
package final class EmulatorProcess: Sendable {
    private struct Pool {
        var starts: [Task<EmulatorProcess, any Error>] = []
        var places: [String: Int] = [:]
    }

    private static let pool = Mutex(Pool())
    /// One emulator uses one processor, since it serves one POST at a time. More than four are never busy together.
    private static let most = max(1, min(4, ProcessInfo.processInfo.activeProcessorCount))

    /// The emulator that this project is on: one of the few that all tests share, each started when a test first needs it.
    package static func shared(by project: String) async throws -> EmulatorProcess {
        let start = pool.withLock { pool in
            let place = pool.places[project] ?? pool.places.count % most
            pool.places[project] = place
            if place == pool.starts.count { pool.starts.append(Task { try await EmulatorProcess.start() }) }
            return pool.starts[place]
        }
        return try await start.value
    }

    /// The emulator of a test that names no project.
    package static var shared: EmulatorProcess {
        get async throws { try await shared(by: "") }
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

    /// Makes each later request of the project wait that long before it is served, so that a test can interrupt a run.
    package func delay(_ project: String, milliseconds: Int) async throws {
        _ = try await control("PUT", "/_delay?project=\(project)&ms=\(milliseconds)")
    }

    /// The requests since the emulator started or since `resetRequestCounts`, of one project or of all.
    package func requestCounts(project: String? = nil) async throws -> EmulatorRequestCounts {
        try EmulatorRequestCounts(json: await control("GET", Self.requests(project)))
    }

    package func resetRequestCounts(project: String? = nil) async throws {
        _ = try await control("DELETE", Self.requests(project))
    }

    /// The body of a GET below `/bigquery/v2`, read without the code under test. A status other than 200 is an error.
    package func resource(_ path: String) async throws -> Data {
        let port = port
        return try await onOwnThread { try LoopbackExchange.body("GET", "/bigquery/v2\(path)", port: port) }
    }

    /// What the jobs of a project used so far, as JSON: by job, the uses of `Tests/Emulator/overlay/access.py`.
    package func uses(of project: String) async throws -> Data {
        try await control("GET", "/_uses?project=\(project)")
    }

    /// From now on, the jobs of the project may do no more than the bindings of an `iam.json` allow.
    package func enforce(_ access: Data, in project: String) async throws {
        _ = try await control("PUT", "/_grants?project=\(project)", sending: access)
    }

    private static func requests(_ project: String?) -> String {
        "/_requests" + (project.map { "?project=\($0)" } ?? "")
    }

    private func control(_ method: String, _ path: String, sending content: Data = Data()) async throws -> Data {
        let port = port
        return try await onOwnThread { try LoopbackExchange.body(method, path, port: port, sending: content) }
    }

    /// Ends the emulator and waits for it.
    package func stop() async throws { try await server.stop() }
}

/// The number of HTTP requests that the emulator received.
package struct EmulatorRequestCounts: Sendable, Equatable {
    package let total: Int
    /// The highest number of requests that were in flight at the same time.
    package let peakInFlight: Int
    /// The number by method and path, with `*` for ids: `GET /projects/*/datasets/*/tables`.
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
