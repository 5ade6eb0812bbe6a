import TestSupport
import Testing
import WarehouseKit

/// The warehouses on which the billing jobs are tested; each test gets a new one.
enum Backend: String, CaseIterable, Sendable, CustomTestStringConvertible {
    #if EmbeddedWarehouse
        case embedded
    #endif
    case emulator

    var testDescription: String { rawValue }

    /// - Parameter project: On the emulator, which all tests share, the test's own project.
    func warehouse(_ project: String) async throws -> any Warehouse {
        switch self {
        #if EmbeddedWarehouse
            case .embedded: try EmbeddedWarehouse(path: ":memory:")
        #endif
        case .emulator: try await EmulatedBigQuery(project: project).warehouse
        }
    }
}
