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
