package import JobRuntime
package import SchemaKit
package import WarehouseKit

/// The settings with which the other jobs work, as far as the invariants depend on them. They must be those of the other jobs.
package struct Expectations: Sendable {
    package var catalog: Catalog
    package var columns: QuotaColumns
    package var environment: DeploymentEnvironment
    package var location: String
    package var countsAllRuns = false
    package var staleAfter = Duration.seconds(3600)
    package var auditDays = 35

    package init(
        catalog: Catalog, columns: QuotaColumns = .standard, environment: DeploymentEnvironment, location: String
    ) {
        self.catalog = catalog
        self.columns = columns
        self.environment = environment
        self.location = location
    }

    /// - Parameter environment: `nil` only if the variables have a problem. The job does not start then.
    package init(reading variables: inout EnvironmentReader, of warehouse: WarehouseSettings) {
        catalog = Catalog(reading: &variables, groups: Catalog.Group.allCases)
        columns = QuotaColumns(reading: &variables)
        environment = warehouse.environment ?? .test
        location = warehouse.location
        countsAllRuns =
            variables.choice(
                "QUOTA_COUNTS", of: ["succeeded", "started"], default: "succeeded",
                help: "The runs that the daily and the monthly counter count, as the resets have it.") == "started"
        let minutes = variables.integer(
            "STALE_AFTER_MINUTES", default: 60, in: 1...44_640,
            help: "A run that is open for longer than that many minutes counts as crashed, as stale-cleanup has it.")
        staleAfter = .seconds(60 * minutes)
        auditDays = variables.integer(
            "AUDIT_DAYS", default: 35, in: 1...400,
            help: "The job compares the subscriptions with the audit of that many days.")
    }

    func quotas(_ daily: String, _ monthly: String) -> QuotaInspection {
        QuotaInspection(daily: daily, monthly: monthly, countsAllRuns: countsAllRuns, staleAfter: staleAfter)
    }

    var schema: SchemaInspection {
        SchemaInspection(catalog: catalog, columns: columns, environment: environment, location: location)
    }
}
