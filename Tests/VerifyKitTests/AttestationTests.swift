import JobRuntime
import TestSupport
import Testing
import Warehouse

@testable import SchemaKit
@testable import VerifyKit
@testable import WarehouseKit

@Suite struct AttestationTests {
    @Test func everyInvariantHoldsWhereTheJobsHaveDoneTheirWork() async throws {
        let right = try await RightWarehouse()

        let report = try await right.verify(isDryRun: false)

        #expect(report.failures.map { "\($0.subject): \($0.reason)" } == [])
        #expect(report["invariants_held"] == 22)
        #expect(try await right.warehouse.rows(of: "scheduler_jobs.verifications").count == 4)
    }

    /// Every statement resolves for GoogleSQL's analyzer, in all forms.
    @Test func everyStatementIsGoogleSQL() async throws {
        let now = RightWarehouse.night
        var expectations = Expectations(
            catalog: try Catalog.embedded(Catalog.Group.allCases), environment: .prod, location: "europe-west1")
        let standard = expectations.quotas("current_daily_pipelines", "current_monthly_pipelines")
        expectations.countsAllRuns = true
        let started = expectations.quotas("current_daily_pipelines", "current_monthly_pipelines")
        let looks: [InspectionStatement] = [
            standard.statement(), started.statement(), expectations.schema.statement(), BillingInspection.statement,
            QueueInspection.statement, QueueInspection.cursorStatement, ServiceInspection.leaseStatement,
            ServiceInspection.historyStatement, ServiceInspection.rolloutStatement,
        ]
        let fence = LeaseFence(jobs: ["verify"], token: "token")
        let chain = VerificationChain(
            warehouse: MeteredWarehouse(try await Backend.embedded.warehouse("x"), ReportFixture().report), fence: fence)
        let row = Verification(
            after: nil, instant: now, verifiedAt: now, verdict: "holds", results: "[]", execution: nil)
        var statements = looks.map { $0.statement(at: now, asking: nil).forAnalysis() }
        statements += [
            AuditInspection(days: 35).statement(at: now).forAnalysis(), chain.insertion(of: row).forAnalysis(),
            Statement("read", VerificationChain.latestSQL, parameters: ["length": .int64(100)]).forAnalysis(),
            Statement("read back", VerificationChain.numberSQL, parameters: ["number": .int64(1)]).forAnalysis(),
        ]

        let problems = try await SQLAnalyzer.ofServiceTables().problems(in: statements)

        #expect(problems == [])
    }
}
