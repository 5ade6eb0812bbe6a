import JobRuntime
import Synchronization
import TestSupport
import Testing
import Warehouse

@testable import SchemaKit
@testable import VerifyKit
@testable import WarehouseKit

/// The chain stays one chain, whatever happens to the runs that append to it.
@Suite struct ChainTests {
    private static let table = "scheduler_jobs.verifications"

    private func warehouse() async throws -> any Warehouse {
        try await Backend.embedded.warehouse("chain").bootstrapped()
    }

    private func chain(_ warehouse: any SQLWarehouse, _ fence: LeaseFence? = nil) -> VerificationChain {
        VerificationChain(warehouse: MeteredWarehouse(warehouse, ReportFixture().report), fence: fence)
    }

    private func row(after head: Verification?, _ verdict: String = "holds") -> Verification {
        let night = RightWarehouse.night
        return Verification(
            after: head, instant: night, verifiedAt: night, verdict: verdict, results: "[]", execution: nil)
    }

    @Test func everyRowHasTheDigestOfTheRowBefore() async throws {
        let warehouse = try await warehouse()
        let chain = chain(warehouse)

        for _ in 1...4 { try await chain.append(row(after: try await chain.latest().first)) }

        let rows = try await chain.latest()
        #expect(rows.map(\.number) == [4, 3, 2, 1])
        #expect(rows.map(\.previous) == rows.dropFirst().map(\.digest) + [nil])
        #expect(VerificationChain.findings(in: rows) == [])
    }

    /// The statement is sent again after a lost reply, as a new job.
    @Test func aRowThatIsSentTwiceIsThereOnce() async throws {
        let warehouse = try await warehouse()
        let chain = chain(warehouse)
        let first = row(after: nil)

        try await chain.append(first)
        try await chain.append(first)

        #expect(try await chain.latest() == [first])
    }

    /// Two runs have read the same head. The second one does not append, and fails.
    @Test func aRunWhoseHeadIsOvertakenFails() async throws {
        let warehouse = try await warehouse()
        let chain = chain(warehouse)
        let (one, other) = (row(after: nil), row(after: nil, "broken"))
        try await chain.append(one)

        await #expect(throws: RunFailure.self) { try await chain.append(other) }

        #expect(try await chain.latest() == [one])
    }

    /// BigQuery begins the statement after its lease went to another execution.
    @Test func aRunWithoutItsLeaseAppendsNothing() async throws {
        let warehouse = try await warehouse()

        await #expect(throws: RunFailure.self) {
            try await chain(warehouse, LeaseFence(jobs: ["verify"], token: "gone")).append(row(after: nil))
        }

        #expect(try await warehouse.rows(of: Self.table).isEmpty)
    }

    /// - Parameter fromTheEnd: The statement during which it is killed: 1 reads the row back, 2 appends it.
    @Test(arguments: [1, 2, 3, 4, 8])
    func aRunThatIsKilledLeavesAWholeRowOrNone(fromTheEnd: Int) async throws {
        let right = try await RightWarehouse(tenants: true)
        let whole = FaultyWarehouse(right.warehouse)
        _ = try await right.verify(on: whole, isDryRun: false)
        let before = try await right.warehouse.rows(of: Self.table).count

        let fault = FaultyWarehouse.Fault.killedDuring(whole.statements - fromTheEnd)
        _ = try? await right.verify(on: FaultyWarehouse(right.warehouse, fault), isDryRun: false)
        let after = try await right.warehouse.rows(of: Self.table).count
        let report = try await right.verify(isDryRun: false)

        #expect(after == before + (fromTheEnd <= 2 ? 1 : 0))
        #expect(report.failures.isEmpty)
        #expect(try await right.warehouse.rows(of: Self.table).count == after + 1)
    }

    @Test func verifyKeepsTheContractOfExclusiveJobs() async throws {
        let warehouse = try await warehouse()
        let expectations = Expectations(
            catalog: try Catalog.embedded(Catalog.Group.allCases), environment: .test, location: "US")
        let contract = LeaseContract(job: "verify") { sql, fence, report in
            try await Attestation(
                sql: sql, schema: warehouse, fence: fence, expectations: expectations, execution: nil, report: report
            ).perform(at: Timestamp.wallClock())
        }

        // Reading is all that its first statement does, so a failure there is an invariant that was not read, and the run goes on.
        #expect(try await contract.violations(on: warehouse) == [])
    }

    @Test func aRowThatWasDeletedIsMissed() async throws {
        let right = try await RightWarehouse(tenants: false)
        try await right.warehouse.run("DELETE FROM `\(Self.table)` WHERE number = 2")

        #expect(try await right.attestation().chainResult().0.isBroken)
    }

    @Test func aDryRunAppendsNothing() async throws {
        let right = try await RightWarehouse(tenants: true)

        let report = try await right.verify()

        #expect(try await right.warehouse.rows(of: Self.table).count == 3)
        #expect(report.output.contains("would append row 4 to the chain"))
    }
}
