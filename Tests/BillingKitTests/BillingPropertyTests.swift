import EmbeddedWarehouse
import Foundation
import JobRuntime
import SchemaKit
import Synchronization
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@testable import BillingKit

/// Whatever happens, in the end the warehouse equals Stripe, each change is audited exactly once, and no queued sync is lost.
@Suite struct BillingPropertyTests {
    /// BILLING_HISTORIES sets how many, for a long run by hand.
    private static let histories = ProcessInfo.processInfo.environment["BILLING_HISTORIES"].flatMap { Int($0) } ?? 1000
    private static let batch = 25

    /// Several histories make one case, since each case has a cost of its own.
    @Test(arguments: 0..<(histories + batch - 1) / batch)
    func everyHistoryEndsWellOnSQLite(_ batch: Int) async throws {
        for seed in batch * Self.batch..<min((batch + 1) * Self.batch, Self.histories) {
            // Every twentieth is a long one.
            let steps = seed.isMultiple(of: 20) ? 40 : 8
            try await live(through: UInt64(seed), on: try EmbeddedWarehouse(path: ":memory:"), steps: steps)
        }
    }

    @Test(arguments: [101, 102, 103])
    func everyHistoryEndsWellOnTheEmulator(_ seed: Int) async throws {
        try await live(
            through: UInt64(seed), on: try await Backend.emulator.warehouse("billing-history-\(seed)"), steps: 12)
    }

    private func live(through seed: UInt64, on warehouse: any Warehouse, steps: Int) async throws {
        var fixture = try await BillingFixture(warehouse)
        fixture.clock.pass(.seconds(1))
        fixture.transport = FakeStripe.Transport(stripe: fixture.stripe)
        var history = try await BillingHistory(fixture, seed: seed)

        try await history.run(steps: steps, atLeast: steps / 8)
        try await history.settle(by: BillingHistory.Repair.allCases[Int(seed % 3)])

        try await history.verify()
    }
}
