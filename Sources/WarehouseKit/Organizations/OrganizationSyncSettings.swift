package import JobRuntime

/// What `org-sync-all` reads from the environment.
package struct OrganizationSyncSettings: WarehouseUser, NotificationUser {
    package let warehouse: WarehouseSettings
    package let catalog: Catalog
    package let environment: DeploymentEnvironment
    package let notification: NotificationSettings

    package static let environmentHelp =
        WarehouseSettings.environmentHelp + CatalogSettings.environmentHelp + [DeploymentEnvironment.help]
        + NotificationSettings.environmentHelp

    package init(reading environment: inout EnvironmentReader) {
        warehouse = WarehouseSettings(reading: &environment)
        catalog = CatalogSettings(reading: &environment, groups: [.organization]).catalog
        self.environment = DeploymentEnvironment.read(&environment, isRequired: true) ?? .test
        notification = NotificationSettings(reading: &environment)
    }
}
