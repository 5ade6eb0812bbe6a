import ArgumentParser
import JobRuntime
import SchemaKit
import Warehouse
import WarehouseKit

/// Adds demo organizations to `organizations.org_profiles` of an embedded warehouse or an emulator. It does not change existing
/// organizations.
@main
struct DemoData: ScheduledJob {
    struct Options: ParsableArguments, Sendable {
        @Option(help: "The number of organizations that exist afterward: demo_10001, demo_10002 ...")
        var organizations = 5

        func validate() throws {
            guard (1...100_000).contains(organizations) else {
                throw ValidationError("--organizations takes a whole number from 1 to 100000.")
            }
        }
    }

    struct Settings: JobSettings {
        let warehouse: WarehouseSettings

        init(reading environment: inout EnvironmentReader) {
            warehouse = WarehouseSettings(reading: &environment)
            if case .bigQuery = warehouse.choice, warehouse.emulatorURL == nil {
                environment.note(
                    problem: "demo data goes into an embedded warehouse or an emulator, never into a real project",
                    with: ["GCP_PROJECT_ID", "WAREHOUSE_URL"])
            }
        }
    }

    static let name = "demo-data"
    static let purpose = "Puts demo organizations into an embedded warehouse or an emulator."

    static let isExclusive = false
    static let discussion = ""

    let options: Options
    let settings: Settings

    func run(_ run: Run) async throws {
        guard !run.isDryRun else { return }
        let warehouse = try await run.openWarehouse(settings.warehouse)
        let slugs = (1...options.organizations).map { "demo_\(10_000 + $0)" }
        let result = try await warehouse.sql.query(
            Statement(
                "add demo organizations",
                """
                INSERT INTO `organizations.org_profiles` (org_slug, company_name, admin_email, org_dataset_id, status, created_at)
                SELECT slug, 'Company ' || slug, 'admin@' || slug || '.example', '', 'ACTIVE', @now
                FROM UNNEST(@slugs) AS slug
                WHERE slug NOT IN (SELECT org_slug FROM `organizations.org_profiles`)
                """,
                parameters: ["slugs": .strings(slugs), "now": .timestamp(run.now)]))
        run.report.add(Int(result.affectedRows ?? 0), to: "organizations_added")
    }
}
