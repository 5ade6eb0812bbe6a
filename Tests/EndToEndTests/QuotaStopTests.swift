import Glibc
import JobRuntime
import TestSupport
import Testing
import WarehouseKit

@Suite(.timeLimit(.minutes(30))) struct QuotaStopTests {
    /// The statement that was under way may go on without its client, so the lease is kept for a while, and by nobody who works.
    @Test func aResetThatIsStoppedKeepsItsLease() async throws {
        // So slow that the job has statements left to send when it is seen to be in the middle.
        let emulator = try await EmulatorProcess.start(delayMilliseconds: 400)
        let stage = EmulatorStage(emulator)
        try await stage.prepare(["acme"])
        try await emulator.resetRequestCounts(project: stage.project)
        let reset = JobExecutable(product: "QuotaResetDailyJob", name: "quota-reset-daily")

        let job = try stage.start(reset)
        // Take, read, seed and take the lease; then the MERGE.
        while job.isRunning, try await stage.progress() < 5 { try await Task.sleep(for: .milliseconds(5)) }
        job.send(SIGTERM)
        let outcome = try await job.outcome()

        #expect(outcome.ending == .exited(75), "\(outcome.output) \(outcome.error)")
        let lease = try #require(
            try await stage.warehouse().query(
                Statement(
                    "read the lease",
                    "SELECT holder, acquired_at, expires_at, updated_at FROM `scheduler_jobs.job_leases`")
            ).rows.first)
        #expect(try lease.optionalString("holder")?.hasPrefix("quota-reset-daily local/") == true)
        #expect(try lease.optionalTimestamp("acquired_at") == nil)
        #expect(try lease.timestamp("expires_at").since(lease.timestamp("updated_at")) == .seconds(120))
        try await emulator.stop()
    }
}
