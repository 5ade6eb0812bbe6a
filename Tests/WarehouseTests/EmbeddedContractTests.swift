import EmbeddedWarehouse
import TestSupport
import Testing
import Warehouse

@Suite struct EmbeddedContractTests {
    @Test(arguments: WarehouseContract.clauses)
    func keepsTheContract(_ clause: WarehouseContract.Clause) async throws {
        try await clause.verify(on: EmbeddedWarehouse(path: ":memory:"), prefix: "contract")
    }

    @Test func keepsTheContractWithAllClausesAtOnceOnOneFile() async throws {
        let folder = try TemporaryFolder()
        let warehouse = try EmbeddedWarehouse(path: folder.file("all.db"))

        try await withThrowingTaskGroup(of: Void.self) { group in
            for clause in WarehouseContract.clauses {
                group.addTask { try await clause.verify(on: warehouse, prefix: "all") }
            }
            try await group.waitForAll()
        }
    }
}
