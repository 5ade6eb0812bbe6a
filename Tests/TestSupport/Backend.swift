import EmbeddedWarehouse
package import Warehouse

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
