import EmbeddedWarehouse
import JobRuntime
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

/// Jobs in random order, twice, late, side by side, with runs arriving in between, against the model that counts in Swift.
@Suite struct QuotaPropertyTests {
    #if EmbeddedWarehouse
        @Test(arguments: 1...60)
        func countersAreRecountsOnTheEmbeddedWarehouse(seed: UInt64) async throws {
            try await play(seed, steps: 40, Backend.embedded)
        }
    #endif

    @Test(arguments: [100, 101, 102, 103, 104])
    func countersAreRecountsOnTheEmulator(seed: UInt64) async throws {
        try await play(seed, steps: 12, .emulator)
    }

    private func play(_ seed: UInt64, steps: Int, _ backend: Backend) async throws {
        var world = QuotaWorld(
            fixture: try await QuotaFixture(backend.warehouse("quota-property-\(seed)")), seed: seed)
        let first = world.date
        for step in 0..<steps {
            let event = try await world.step()
            let rows = try await world.fixture.rows()
            #expect(rows == QuotaRow.inOrder(world.model.rows), "seed \(seed), step \(step): \(event)")
            let runs = try await world.fixture.runs()
            #expect(runs == world.model.runs.sorted { $0.id < $1.id }, "seed \(seed), step \(step): \(event)")
            guard rows == QuotaRow.inOrder(world.model.rows) else { return }
        }
        #expect(world.date > first)
    }
}
