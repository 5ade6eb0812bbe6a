import ArgumentParser
import JobRuntime
import SchemaKit
import Warehouse
import WarehouseKit

/// Creates and evolves the dataset of every active organization. Running it again changes nothing.
@main
struct OrgSyncAllJob: ScheduledJob {
    static let name = "org-sync-all"
    static let purpose = "Creates and evolves the dataset of every active organization."
    static let isExclusive = false
    static let discussion = """
        The job reads the organizations with status ACTIVE from organizations.org_profiles and compares all of their datasets \
        with the built-in catalog in one query. It creates missing datasets and tables, and adds missing columns. It never \
        drops, recreates or reorders anything. Other differences are listed, each one once, and left as they are: conflicts \
        fail the run unless TOLERATED_DIFFERENCES names their kind. --apply closes some kinds in place, and --explain says \
        what each kind means.

        If an organization fails, the others are still done. The exit code is then 1, and the summary names the organization. \
        After a run that was stopped or killed, the next run does the rest. With several Cloud Run tasks, each task does its \
        share of the organizations.

        EXAMPLES:
          GCP_PROJECT_ID=cloudact-testing-1 ENVIRONMENT=test OrgSyncAllJob --dry-run
          GCP_PROJECT_ID=cloudact-prod ENVIRONMENT=prod OrgSyncAllJob --org acme --org globex
          GCP_PROJECT_ID=cloudact-prod ENVIRONMENT=prod OrgSyncAllJob --waves 1,10,100,all --pause 10m
        """

    struct Options: ParsableArguments, Sendable {
        @OptionGroup var organizations: OrganizationOptions
        @OptionGroup var differences: DifferenceOptions
        @OptionGroup var approval: ApprovalOptions
    }

    struct Settings: JobSettings {
        let warehouse: WarehouseSettings
        let catalog: Catalog
        let notification: NotificationSettings
        let differences: DifferenceSettings
        let approval: ApprovalSettings

        init(reading environment: inout EnvironmentReader) {
            // The comparison of 100,000 organizations reads 26 GB of the views, by the sizes of their columns.
            warehouse = WarehouseSettings(
                reading: &environment, mostTables: 7, defaultBytes: 68_719_476_736, requiresEnvironment: true)
            catalog = Catalog(reading: &environment, groups: [.organization])
            notification = NotificationSettings(reading: &environment)
            differences = DifferenceSettings(reading: &environment)
            approval = ApprovalSettings(reading: &environment)
        }
    }

    static func isDryRun(_ options: Options) -> Bool { options.differences.explain }

    let options: Options
    let settings: Settings

    func run(_ run: Run) async throws {
        run.notifyAtEnd(
            settings.notification, ofChangesIn: ["datasets_created", "tables_created", "tables_updated"])
        let warehouse = try await run.openWarehouse(settings.warehouse)
        guard let environment = settings.warehouse.environment else { return }
        var sync = OrganizationSync(
            sql: warehouse.sql, schema: warehouse.schema, catalog: settings.catalog, environment: environment,
            report: run.report, task: run.task, isDryRun: run.isDryRun)
        sync.tolerated = settings.differences.tolerated
        sync.applied = options.differences.kinds
        sync.approval = options.approval.approval(settings.approval)
        sync.waves = options.organizations.waves.plan
        sync.history = SchemaHistory(sql: warehouse.sql, job: run.job, task: run.task)
        sync.explanationDay = options.differences.explain ? run.now.date : nil
        try await sync.run(only: options.organizations.org)
    }
}
