import EmbeddedWarehouse
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

/// Whatever happens, in the end the warehouse equals Stripe, each change is audited exactly once, and no queued sync is lost.
@Suite struct BillingPropertyTests {
    #if EmbeddedWarehouse
        @Test(arguments: 1...60)
        func everyHistoryEndsWellOnSQLite(_ seed: Int) async throws {
            try await live(through: UInt64(seed), on: try EmbeddedWarehouse(path: ":memory:"), steps: 40)
        }
    #endif

    @Test(arguments: [101, 102, 103])
    func everyHistoryEndsWellOnTheEmulator(_ seed: Int) async throws {
        try await live(
            through: UInt64(seed), on: try await Backend.emulator.warehouse("billing-history-\(seed)"), steps: 12)
    }

    private func live(through seed: UInt64, on warehouse: any Warehouse, steps: Int) async throws {
        var history = try await BillingHistory(try await BillingFixture(warehouse), seed: seed)

        try await history.run(steps: steps, atLeast: steps / 8)
        try await history.settle(byQueueAlone: seed % 2 == 0)

        try await history.verify()
    }
}
