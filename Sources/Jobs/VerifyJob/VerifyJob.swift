import JobRuntime
import VerifyKit
import Warehouse
import WarehouseKit

/// Checks that the other jobs have done what they promise. It reads, and writes the result into a table of its own.
@main
struct VerifyJob: ScheduledJob {
    static let name = "verify"
    static let purpose = "Checks the invariants of all other jobs and appends the result to a chain of digests."
    static let isExclusive = true
    static let discussion = """
        The job reads the warehouse as it was at one instant and checks the invariants: quotas against the run log, tables \
        against the catalog, subscriptions against their audit, the queue, leases, run history and rollouts. What seems \
        broken is looked at again as of twenty, thirteen and seven minutes earlier. Only what was broken each time fails the run.

        The exit code is 0 only if every invariant was read and holds. Each run appends one row to \
        scheduler_jobs.verifications, with the digest of the row before. The job changes nothing else.

        --now checks the warehouse as of that instant, up to seven days ago in BigQuery. The embedded warehouse has no past.

        EXAMPLES:
          GCP_PROJECT_ID=cloudact-prod ENVIRONMENT=prod VerifyJob --dry-run
          WAREHOUSE_URL=sqlite:demo.db ENVIRONMENT=test VerifyJob
        """

    struct Settings: JobSettings {
        let warehouse: WarehouseSettings
        let expectations: Expectations

        init(reading environment: inout EnvironmentReader) {
            warehouse = WarehouseSettings(reading: &environment, mostTables: 4, requiresEnvironment: true)
            expectations = Expectations(reading: &environment, of: warehouse)
        }
    }

    let options: NoOptions
    let settings: Settings

    func run(_ run: Run) async throws {
        let instant = run.timeSource == .present ? run.clock.adding(.zero - Attestation.margin) : run.now
        guard instant <= Timestamp.wallClock() else {
            throw ConfigurationError("\(instant) is to come: the warehouse has no state of it")
        }
        let warehouse = try await run.openWarehouse(settings.warehouse)
        let attestation = Attestation(
            sql: warehouse.sql, schema: warehouse.schema, fence: warehouse.fence, expectations: settings.expectations,
            execution: run.task.execution, report: run.report, isDryRun: run.isDryRun)
        try await attestation.perform(at: instant)
    }
}
