import Warehouse

/// The options and settings of a run of a schema job.
struct SchemaRequest: Sendable {
    var isDryRun: Bool
    /// Kinds of differences that the run closes in place.
    var applied: Set<SchemaDifference.Kind>
    /// The changes that the run may apply, for the digest of its tables.
    var approval: Approval
    /// The command that starts the run again.
    var command: RunCommand
    /// Whether the plan of each dataset is printed with all of its lines.
    var showsFullPlans = false
    /// Where changes are written before they are made.
    var history: SchemaHistory?
    /// Ends the run when many organizations fail for one reason.
    var tally: FailureTally?

    /// The command that starts the run again with the same approval.
    var commandToGoOn: RunCommand {
        var command = command
        command.options += approval.plans.flatMap { ["--approve", $0.description] }
        return command
    }
}

/// The commands that a report names.
package struct RunCommand: Hashable, Sendable {
    package var job: String
    /// The name in jobs.yaml; `nil` if the run does not know it.
    package var environment: String?
    /// The options that the run was given and that its follower needs, too.
    package var options: [String] = []

    package init(job: String, environment: String?, options: [String] = []) {
        self.job = job
        self.environment = environment
        self.options = options
    }

    /// `./scripts/run-job.sh prod org-sync-all -- --org acme --dry-run`
    func with(_ more: String...) -> String {
        "./scripts/run-job.sh \(environment ?? "ENVIRONMENT") \(job) -- " + (options + more).joined(separator: " ")
    }
}
