import ArgumentParser
import JobRuntime
import SchemaKit
import Warehouse
import WarehouseKit

/// Puts demo organizations into `organizations.org_profiles` of an embedded warehouse or an emulator. Those that are there
/// stay as they are.
@main
struct DemoData: ScheduledJob {
    struct Options: ParsableArguments, Sendable {
        @Option(help: "How many organizations there are to be: demo_10001, demo_10002 ...")
        var organizations = 5

        func validate() throws {
            guard (1...100_000).contains(organizations) else {
                throw ValidationError("--organizations takes a whole number from 1 to 100000.")
            }
        }
    }

    struct Settings: WarehouseUser {
        let warehouse: WarehouseSettings

        static let environmentHelp = WarehouseSettings.environmentHelp

        init(reading environment: inout EnvironmentReader) {
            warehouse = WarehouseSettings(reading: &environment)
            if case .bigQuery = warehouse.choice, warehouse.emulatorURL == nil {
                environment.note(
                    problem: "demo data goes into an embedded warehouse or an emulator, never into a real project")
            }
        }
    }

    static let name = "demo-data"
    static let purpose = "Puts demo organizations into an embedded warehouse or an emulator."

    static func run(in context: JobContext<Self>) async throws {
        let slugs = (1...context.options.organizations).map { "demo_\(10_000 + $0)" }
        guard !context.isDryRun else { return }
        try await context.withWarehouse { warehouse in
            let result = try await warehouse.query(
                Statement(
                    "add demo organizations",
                    """
                    INSERT INTO `organizations.org_profiles` (org_slug, company_name, admin_email, org_dataset_id, status, created_at)
                    SELECT slug, 'Company ' || slug, 'admin@' || slug || '.example', '', 'ACTIVE', @now
                    FROM UNNEST(@slugs) AS slug
                    WHERE slug NOT IN (SELECT org_slug FROM `organizations.org_profiles`)
                    """,
                    parameters: ["slugs": .strings(slugs), "now": .timestamp(context.now)]))
            context.report.add(Int(result.affectedRows ?? 0), to: "organizations_added")
        }
    }
}
