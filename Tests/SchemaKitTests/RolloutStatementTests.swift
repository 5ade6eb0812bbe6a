import JobRuntime
import TestSupport
import Testing

@testable import BigQueryWarehouse
@testable import SchemaKit
@testable import Warehouse

@Suite struct RolloutStatementTests {
    @Test func googleSQLAnalyzesEveryStatement() async throws {
        let warehouse = try await Backend.embedded.warehouse("rollout-statements")
        let instant = Timestamp(microseconds: 0)
        let history = SchemaHistory(sql: warehouse, job: "org-sync-all", task: CloudRunTask(), now: { instant })
        let change = SchemaHistory.Change(
            subject: "acme", dataset: DatasetID("acme_test")!, table: "plans", column: nil, change: "create table")
        let rollout = Rollout(
            sql: warehouse, catalog: "12345678", plan: WavePlan(sizes: [1, nil]), task: CloudRunTask(),
            tally: FailureTally(limit: 5), report: ReportFixture().report,
            command: RunCommand(job: "org-sync-all", environment: "test"),
            now: { instant }, sleep: { _ in })
        let state = Rollout.State(
            number: 1, waves: "1,all", index: 0, count: 1, startedAt: instant, waveStartedAt: instant)
        let merge = rollout.saving(state)
        let statements = [
            history.insertion([change], catalog: "12345678"), history.failure([(change, "refused")]),
            RolloutHealth.query("12345678/1", since: instant, wave: instant),
            Statement("read the rollouts", Rollout.readSQL, parameters: ["catalog": .string("12345678")]),
            ExtraColumnsNotice.query([.init(["notes"], of: "plans", count: 1, members: [])]),
            rollout.touched(state), merge.statement(BigQueryWarehouse.sql(of: merge)),
        ]

        let problems = try await SQLAnalyzer.ofServiceTables().problems(in: statements.map { $0.forAnalysis() })

        #expect(problems == [])
    }
}
