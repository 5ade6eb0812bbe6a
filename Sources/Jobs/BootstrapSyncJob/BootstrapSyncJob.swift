import ArgumentParser
import JobRuntime
import SchemaKit
import Warehouse
import WarehouseKit

/// Adds the columns that existing meta tables lack. Running it again changes nothing.
@main
struct BootstrapSyncJob: ScheduledJob {
    static let name = "bootstrap-sync"
    static let purpose = "Adds missing columns to the tables of the datasets organizations and scheduler_jobs."
    static let isExclusive = false
    static let discussion = """
        The job compares both datasets with the built-in catalog and adds the columns that tables lack, all columns of a table \
        in one update. It never drops, recreates or reorders anything. A column with another type or mode is a conflict: the \
        job lists it, does not change it, and exits with code 1. A column that is REQUIRED in the catalog is added as NULLABLE.

        The daily and the monthly counter of org_usage_quotas keep the names that the table has (current_daily_pipelines and \
        current_monthly_pipelines, or pipelines_run_today and pipelines_run_month). A table with both pairs is a failure.

        It is safe to run the job again. A second run changes nothing.

        EXAMPLE:
          GCP_PROJECT_ID=cloudact-testing-1 BootstrapSyncJob --dry-run
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
        @OptionGroup var differences: DifferenceOptions
        @OptionGroup var approval: ApprovalOptions
    }

    static func isDryRun(_ options: Options) -> Bool { options.differences.explain }

    let options: Options
    let settings: Settings

    func run(_ run: Run) async throws {
        let warehouse = try await run.openWarehouse(settings.warehouse)
        var bootstrap = Bootstrap(
            warehouse: warehouse.schema, catalog: settings.catalog, environment: settings.warehouse.environment,
            report: run.report, isDryRun: run.isDryRun, columns: settings.columns)
        bootstrap.tolerated = settings.differences.tolerated
        bootstrap.applied = options.differences.kinds
        bootstrap.approval = options.approval.approval(settings.approval)
        bootstrap.history = SchemaHistory(sql: warehouse.sql, job: run.job, task: run.task)
        bootstrap.explanationDay = options.differences.explain ? run.now.date : nil
        try await bootstrap.addColumns()
    }
}
