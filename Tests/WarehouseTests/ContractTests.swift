import BigQueryWarehouse
import EmbeddedWarehouse
import TestSupport
import Testing
import Warehouse

/// The emulator serves one request at a time, so the clauses take their turns.
@Suite(.serialized) struct BigQueryContractTests {
    @Test(arguments: WarehouseContract.clauses)
    func keepsTheContract(_ clause: WarehouseContract.Clause) async throws {
        let bigQuery = try await EmulatedBigQuery(project: "contract-tests")

        try await clause.verify(on: bigQuery.warehouse, prefix: "contract")
    }
}

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
