/// What the scripts need to know of one environment: `deployment.json`.
struct DeploymentIndex {
    let file: JobsFile
    let environment: EnvironmentDefinition
    let jobs: [DeployedJob]

    /// The services that the deployment itself and the jobs call.
    static let services = [
        "artifactregistry", "bigquery", "cloudresourcemanager", "cloudscheduler", "iam", "logging", "monitoring", "run",
        "secretmanager",
    ]

    var document: Document {
        [
            "environment": .string(environment.name),
            "project": .string(environment.project),
            "region": .string(environment.region),
            "bigquery_location": .string(environment.bigQueryLocation),
            "prefix": .string(environment.prefix.value),
            "account_prefix": .string(environment.accountPrefix.value),
            "foreign_prefixes": .strings(neighbours { $0.region == environment.region }.map(\.prefix.value)),
            "foreign_account_prefixes": .strings(neighbours { _ in true }.map(\.accountPrefix.value)),
            "confirm": .bool(environment.asksFirst),
            "images": .string(environment.images),
            "image_tag": .string(environment.imageTag),
            "alert_emails": .strings(environment.alertEmails),
            "services": .strings(Self.services.map { "\($0).googleapis.com" }),
            "secrets": .strings(Set(jobs.flatMap { $0.secrets.map(\.secret) }).sorted()),
            "jobs": .array(jobs.map(entry)),
        ]
    }

    /// Other environments of the same project.
    private func neighbours(_ condition: (EnvironmentDefinition) -> Bool) -> [EnvironmentDefinition] {
        file.environments.filter {
            $0.name != environment.name && $0.project == environment.project && condition($0)
        }
    }

    private func entry(_ deployed: DeployedJob) -> Document {
        let job = deployed.job
        let gap: Document = job.schedule?.longestGap.map { .integer($0) } ?? .null
        let schedule: Document = job.schedule.map { .string($0.text) } ?? .null
        let trigger: Document = deployed.triggerName.map { .string($0) } ?? .null
        let file = "jobs/\(deployed.name).yaml"
        return [
            "name": .string(deployed.name),
            "job": .string(job.name),
            "executable": .string(job.executable.value),
            "purpose": .string(job.purpose),
            "schedule": schedule,
            "time_zone": .string(job.timeZone),
            "longest_gap_seconds": gap,
            "trigger": trigger,
            "file": .string(file),
            "deployed": record(deployed),
        ]
    }

    /// What is compared with the job that is deployed.
    private func record(_ deployed: DeployedJob) -> Document {
        let job = deployed.job
        return [
            "image": .string(deployed.image),
            "args": .strings(deployed.arguments),
            "service account": .string(environment.accountEmail(job.name)),
            "cpu": .integer(job.size.cpu),
            "memory": .string(job.size.memory),
            "timeout": .integer(job.timeoutSeconds),
            "retries": .integer(job.retries),
            "tasks": .integer(job.tasks),
            "parallelism": .integer(job.parallelism),
            "env": .object(deployed.variables.map { .init(key: $0.name, value: .string($0.value)) }),
            "secrets": .object(deployed.secrets.map { .init(key: $0.variable, value: .string("\($0.secret):latest")) }),
            "labels": .map(deployed.labels),
        ]
    }
}
