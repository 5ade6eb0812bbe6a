import ArgumentParser
import JobRuntime
import SchemaKit
import Warehouse
import WarehouseKit

/// Creates the datasets `organizations` and `scheduler_jobs` with their tables. Running it again changes nothing.
@main
struct BootstrapJob: ScheduledJob {
    static let name = "bootstrap"
    static let purpose = "Creates the datasets organizations and scheduler_jobs with all of their tables."
    static let isExclusive = false
    static let discussion = """
        The job compares both datasets with the built-in catalog and creates missing datasets and tables. It does not change \
        existing tables: it reports the columns that they lack, and bootstrap-sync adds them.

        It is safe to run the job again, also at the same time. A second run changes nothing.

        EXAMPLES:
          GCP_PROJECT_ID=cloudact-testing-1 BootstrapJob --dry-run
          WAREHOUSE_URL=sqlite:demo.db BootstrapJob
        """

    struct Settings: JobSettings {
        let warehouse: WarehouseSettings
        let catalog: Catalog
        let columns: QuotaColumns
        let differences: DifferenceSettings
        let approval: ApprovalSettings

        init(reading environment: inout EnvironmentReader) {
            warehouse = WarehouseSettings(reading: &environment, mostTables: 4)
            catalog = Catalog(reading: &environment, groups: [.organizations, .operations])
            columns = QuotaColumns(reading: &environment)
            differences = DifferenceSettings(reading: &environment)
            approval = ApprovalSettings(reading: &environment)
        }
    }

    struct Options: ParsableArguments, Sendable {
        @OptionGroup var approval: ApprovalOptions
    }

    let options: Options
    let settings: Settings

    func run(_ run: Run) async throws {
        let warehouse = try await run.openWarehouse(settings.warehouse)
        var bootstrap = Bootstrap(
            warehouse: warehouse.schema, catalog: settings.catalog, environment: settings.warehouse.environment,
            report: run.report, isDryRun: run.isDryRun, columns: settings.columns)
        bootstrap.tolerated = settings.differences.tolerated
        bootstrap.approval = options.approval.approval(settings.approval)
        bootstrap.history = SchemaHistory(sql: warehouse.sql, job: run.job, task: run.task)
        try await bootstrap.create()
    }
}
