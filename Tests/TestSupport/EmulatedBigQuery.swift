package import BigQueryWarehouse
import HTTPTransport
import Logging
import Warehouse

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
