import Glibc
import QuotaKit
import SchemaKit
import TestSupport
import Testing
import Warehouse
import WarehouseKit

@Suite(.timeLimit(.minutes(30))) struct QuotaStopTests {
    /// The MERGE may go on without its client, so the lease is kept for a while, and not freed.
    @Test func aResetThatIsStoppedInItsMergeKeepsItsLease() async throws {
        let done = #"{"jobComplete": true, "jobReference": {"jobId": "job_1"}, "numDmlAffectedRows": "1"}"#
        let warehouse = try ScriptedWarehouse {
            ScriptedWarehouse.statement(of: $0).hasPrefix("MERGE") ? .delayed(.seconds(600), .json(done)) : .json(done)
        }
        let reset = JobExecutable(product: "QuotaResetDailyJob", name: "quota-reset-daily")

        let job = try reset.start(environment: warehouse.environment)
        while job.isRunning, warehouse.requests.count < 2 { try await Task.sleep(for: .milliseconds(5)) }
        job.send(SIGTERM)
        let outcome = try await job.outcome()

        #expect(outcome.ending == .exited(75), "\(outcome.output) \(outcome.error)")
        let statements = warehouse.requests.map(ScriptedWarehouse.statement(of:))
        #expect(statements.count == 3)
        #expect(statements.last?.contains("SET acquired_at = NULL, expires_at = LEAST(expires_at, @until)") == true)
    }
}
