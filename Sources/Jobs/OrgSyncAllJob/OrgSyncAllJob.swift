import JobRuntime
import SchemaKit
import WarehouseKit

/// Creates and evolves the dataset of every active organization. Running it again changes nothing.
@main
struct OrgSyncAllJob: ScheduledJob {
    typealias Options = OrganizationSyncOptions
    typealias Settings = OrganizationSyncSettings

    static let name = "org-sync-all"
    static let purpose = "Creates and evolves the dataset of every active organization."
    static let discussion = OrganizationSync.help

    static func run(in context: JobContext<Self>) async throws {
        try await context.withOrganizationSync { try await $0.run(only: context.options.org) }
    }
}
