import JobRuntime
import SchemaKit
import WarehouseKit

/// Creates the datasets `organizations` and `scheduler_jobs` with their tables. Running it again changes nothing.
@main
struct BootstrapJob: ScheduledJob {
    typealias Settings = BootstrapSettings

    static let name = "bootstrap"
    static let purpose = "Creates the datasets organizations and scheduler_jobs with all of their tables."
    static let discussion = Bootstrap.createHelp

    static func run(in context: JobContext<Self>) async throws {
        try await context.withBootstrap { try await $0.create() }
    }
}
