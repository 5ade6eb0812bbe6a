package import JobRuntime
import WarehouseKit

/// The summary line of a run, as far as tests look at it.
package struct JobSummary: Decodable, Sendable {
    package struct Finding: Decodable, Sendable, Hashable {
        package let subject: String
        package let reason: String
    }

    package let job: String
    package let severity: String
    package let message: String
    package let status: String
    package let reason: String?
    package let dryRun: Bool
    package let counts: [String: Int]
    package let failures: [Finding]
    package let warnings: [Finding]
    package let now: String
    package let execution: String?
    package let taskIndex: Int
    package let taskCount: Int
    package let attempt: Int
    package let details: JSONValue?

    /// Everything that was created or added.
    package var changes: Int {
        ["datasets_created", "tables_created", "tables_updated", "columns_added"].reduce(0) { $0 + (counts[$1] ?? 0) }
    }
}
