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

extension OrganizationSync {
    package init<Job: ScheduledJob>(warehouse: any Warehouse, _ context: JobContext<Job>)
    where Job.Settings == OrganizationSyncSettings {
        self.init(
            warehouse: warehouse, catalog: context.settings.catalog, environment: context.settings.environment,
            report: context.report, task: context.task, isDryRun: context.isDryRun)
    }
}
