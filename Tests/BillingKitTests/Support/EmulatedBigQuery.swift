import HTTPTransport
import Logging
import TestSupport
import WarehouseKit

/// BigQuery's client in front of the emulator, in a project of its own.
struct EmulatedBigQuery {
    let project: String
    let warehouse: BigQueryWarehouse
    private let emulator: EmulatorProcess

    init(project: String) async throws {
        self.project = project
        emulator = try await EmulatorProcess.shared
        warehouse = BigQueryWarehouse(
            project: ProjectID(project)!, location: "US", baseURL: emulator.url, transport: CurlTransport(),
            credentials: nil, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// How many requests this project has seen so far.
    var requests: Int {
        get async throws { try await emulator.requestCounts(project: project).total }
    }
}
