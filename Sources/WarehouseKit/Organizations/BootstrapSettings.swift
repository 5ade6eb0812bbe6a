package import JobRuntime

/// What `bootstrap` and `bootstrap-sync` read from the environment.
package struct BootstrapSettings: WarehouseUser {
    package let warehouse: WarehouseSettings
    package let catalog: Catalog
    /// Becomes a label of new datasets.
    package let environment: DeploymentEnvironment?

    package static let environmentHelp =
        WarehouseSettings.environmentHelp + CatalogSettings.environmentHelp + [DeploymentEnvironment.help]

    package init(reading environment: inout EnvironmentReader) {
        warehouse = WarehouseSettings(reading: &environment)
        catalog = CatalogSettings(reading: &environment, groups: [.organizations, .operations]).catalog
        self.environment = DeploymentEnvironment.read(&environment, isRequired: false)
    }
}

extension JobContext where Job.Settings == BootstrapSettings {
    package func withBootstrap(_ work: (Bootstrap) async throws -> Void) async throws {
        try await withWarehouse { warehouse in
            try await work(
                Bootstrap(
                    warehouse: warehouse, catalog: settings.catalog, environment: settings.environment, report: report,
                    isDryRun: isDryRun))
        }
    }
}
