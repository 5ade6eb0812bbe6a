import JobRuntime
import SchemaKit
import WarehouseKit

/// Adds the columns that existing meta tables lack. Running it again changes nothing.
@main
struct BootstrapSyncJob: ScheduledJob {
    typealias Settings = BootstrapSettings

    static let name = "bootstrap-sync"
    static let purpose = "Adds missing columns to the tables of the datasets organizations and scheduler_jobs."
    static let discussion = Bootstrap.addColumnsHelp

    static func run(in context: JobContext<Self>) async throws {
        try await context.withBootstrap { try await $0.addColumns() }
    }
}
