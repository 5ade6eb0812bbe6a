import JobRuntime
import SchemaKit
import TestSupport
import Warehouse
import WarehouseKit

/// A warehouse with the service's own datasets, in which a test makes organizations.
struct OrganizationFixture {
    let warehouse: any Warehouse

    struct Profile {
        var slug: String
        var dataset = ""
        var status = "ACTIVE"

        init(_ slug: String, dataset: String = "", status: String = "ACTIVE") {
            self.slug = slug
            self.dataset = dataset
            self.status = status
        }
    }

    init(_ warehouse: any Warehouse, _ profiles: [Profile] = []) async throws {
        self.warehouse = warehouse
        let catalog = try Catalog.embedded([.organizations, .operations])
        try await Bootstrap(
            warehouse: warehouse, catalog: catalog, environment: .test, report: ReportFixture().report
        ).create()
        for profile in profiles { try await add(profile) }
    }

    func add(_ profile: Profile) async throws {
        _ = try await warehouse.query(
            Statement(
                "add an organization",
                """
                INSERT INTO `organizations.org_profiles` (org_slug, company_name, admin_email, org_dataset_id, status, created_at)
                VALUES (@slug, 'Company', 'admin@acme.example', @dataset, @status, @now)
                """,
                parameters: [
                    "slug": .string(profile.slug), "dataset": .string(profile.dataset),
                    "status": .string(profile.status), "now": .timestamp(CountingTokens.now),
                ]))
    }

    @discardableResult
    func sync(
        only slugs: [String] = [], task: CloudRunTask = CloudRunTask(), isDryRun: Bool = false
    ) async throws -> ReportFixture {
        let fixture = ReportFixture()
        try await OrganizationSync(
            sql: warehouse, schema: warehouse, catalog: try Catalog.embedded([.organization]), environment: .test,
            report: fixture.report, task: task, isDryRun: isDryRun
        ).run(only: slugs)
        return fixture
    }

    func hasDataset(_ name: String) async throws -> Bool {
        guard let id = DatasetID(name) else { return false }
        return try await warehouse.dataset(id) != nil
    }
}
