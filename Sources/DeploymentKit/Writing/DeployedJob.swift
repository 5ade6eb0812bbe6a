/// A job as it is deployed to one environment.
struct DeployedJob {
    let job: JobDefinition
    let environment: EnvironmentDefinition
    /// Variables of every job in every environment.
    let common: [(name: String, text: Located<String>)]

    static let managedBy = "scheduler-jobs"

    var name: String { environment.deployedName(job.name) }

    /// Cloud Scheduler's job that starts it, if it has a schedule.
    var triggerName: String? { job.schedule == nil ? nil : environment.triggerName(job.name) }

    var isPaused: Bool { environment.paused.contains { $0.value == job.name } }

    var image: String { "\(environment.images)/\(job.name):\(environment.imageTag)" }

    var labels: [(String, Document?)] {
        [
            ("managed-by", .string(Self.managedBy)), ("environment", .string(environment.name)),
            ("job", .string(job.name)),
        ]
    }

    /// Plain variables in the order in which they are written; a job's own value wins over the environment's,
    /// and that over the defaults'.
    var variables: [(name: String, value: String)] {
        var fixed = [
            ("GCP_PROJECT_ID", environment.project), ("ENVIRONMENT", environment.name),
            ("BIGQUERY_LOCATION", environment.bigQueryLocation), ("DEADLINE_SECONDS", String(job.deadlineSeconds)),
        ]
        if let lease = job.leaseSeconds { fixed.append(("LEASE_SECONDS", String(lease))) }
        var own: [String: String] = [:]
        for (name, text) in common + environment.environment + job.environment {
            own[name] = environment.fill(text.value)
        }
        for secret in job.secrets { own[secret.name] = nil }
        return fixed.map { (name: $0.0, value: $0.1) }
            + own.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
    }

    var secrets: [(variable: String, secret: String)] {
        job.secrets.sorted { $0.name < $1.name }.map { ($0.name, environment.fill($0.text.value)) }
    }

    var arguments: [String] { job.arguments.map { environment.fill($0.value) } }
}
