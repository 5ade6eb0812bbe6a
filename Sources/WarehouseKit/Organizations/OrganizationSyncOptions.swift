package import ArgumentParser
package import JobRuntime

/// The flags of `org-sync-all`.
package struct OrganizationSyncOptions: ParsableArguments, Sendable {
    @Option(help: .init("Only this organization; may be given several times.", valueName: "slug"))
    package var org: [String] = []

    package init() {}

    package func validate() throws {
        for slug in org where !Organization.isValid(slug: slug) {
            throw ValidationError("--org \(quoted(slug)) is not a valid slug: \(Organization.slugRule).")
        }
    }
}

extension JobContext where Job.Settings == OrganizationSyncSettings {
    package func withOrganizationSync(_ work: (OrganizationSync) async throws -> Void) async throws {
        let changes = ["datasets_created", "tables_created", "tables_updated"]
        try await notifyingService(ofChanges: changes) {
            try await withWarehouse { warehouse in
                try await work(
                    OrganizationSync(
                        warehouse: warehouse, catalog: settings.catalog, environment: settings.environment,
                        report: report, task: task, isDryRun: isDryRun))
            }
        }
    }
}
