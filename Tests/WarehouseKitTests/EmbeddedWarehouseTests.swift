#if EmbeddedWarehouse
    import TestSupport
    import Testing
    import WarehouseKit

    @Suite struct EmbeddedWarehouseTests {
        @Test(arguments: WarehouseContract.clauses)
        func keepsTheContract(_ clause: WarehouseContract.Clause) async throws {
            try await clause.verify(on: EmbeddedWarehouse(path: ":memory:"), prefix: "contract")
        }
    }
#endif
