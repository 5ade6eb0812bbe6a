/// A job as it is deployed to one environment.
struct DeployedJob {
    let job: JobDefinition
    let environment: EnvironmentDefinition
    let file: JobsFile
    /// The description of the built job. Without it, the job gets every variable that is set for it, and no lease.
    let description: JobDescription?

    static let managedBy = "scheduler-jobs"

    var name: String { environment.deployedName(job.name) }

    var account: String { environment.accountEmail(job.name) }

    /// Cloud Scheduler's job that starts it, if it has a schedule.
    var triggerName: String? { job.schedule == nil ? nil : environment.triggerName(job.name) }

    var isPaused: Bool { environment.paused.contains { $0.value == job.name } }

    var image: String { "\(environment.images)/\(job.name):\(environment.imageTag)" }

    /// Plain variables in the order in which they are written. A variable of `defaults` or of the environment that the job does not
    /// read is left out.
    var variables: [(name: String, value: String)] {
        var fixed = [
            ("GCP_PROJECT_ID", environment.project), ("ENVIRONMENT", environment.name),
            ("BIGQUERY_LOCATION", environment.bigQueryLocation), ("DEADLINE_SECONDS", String(job.deadlineSeconds)),
        ]
        if description?.exclusive == true { fixed.append(("LEASE_SECONDS", String(job.leaseSeconds))) }
        var own: [String: String] = [:]
        for variable in file.variables(of: job, in: environment)
        where description.map({ $0.variable(variable.name) != nil }) ?? true {
            own[variable.name] = environment.fill(variable.value)
        }
        for secret in job.secrets { own[secret.name] = nil }
        return fixed.map { (name: $0.0, value: $0.1) }
            + own.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
    }

    /// The secrets that the job gets, by variable. One that does nothing without a variable is mounted where that variable is set.
    var secrets: [(variable: String, reference: SecretReference)] {
        let set = Set(file.variables(of: job, in: environment).map(\.name))
        return job.secrets.filter { secret in SecretReference.uses[secret.name].map { set.contains($0) } ?? true }
            .sorted { $0.name < $1.name }.map { ($0.name, SecretReference(environment.fill($0.value))) }
    }

    // MARK: The job

    /// The Cloud Run Job (`run.googleapis.com/v1`) that `gcloud run jobs replace` takes.
    var resource: Document {
        let annotations = [Document.Member(key: "run.googleapis.com/execution-environment", value: "gen2")]
        let task = [
            Document.Member(key: "serviceAccountName", value: .string(account)),
            Document.Member(key: "containers", value: [container]),
        ]
        let template: Document = ["spec": .object(members(.task) + task)]
        return [
            "apiVersion": "run.googleapis.com/v1",
            "kind": "Job",
            "metadata": ["name": .string(name), "labels": labels],
            "spec": [
                "template": [
                    "metadata": ["annotations": .object(annotations + members(.annotation))],
                    "spec": .object(members(.execution) + [.init(key: "template", value: template)]),
                ]
            ],
        ]
    }

    private var labels: Document {
        .object(environment.mark + [.init(key: "job", value: .string(job.name))])
    }

    private var container: Document {
        let arguments = job.arguments.map { environment.fill($0.value) }
        let plain: [Document] = variables.map { ["name": .string($0.name), "value": .string($0.value)] }
        let secret: [Document] = secrets.map {
            [
                "name": .string($0.variable),
                "valueFrom": [
                    "secretKeyRef": ["name": .string($0.reference.name), "key": .string($0.reference.version)]
                ],
            ]
        }
        return .map([
            ("image", .string(image)),
            ("args", arguments.isEmpty ? nil : .strings(arguments)),
            ("env", .array(plain + secret)),
            ("resources", ["limits": .object(members(.limit))]),
        ])
    }

    /// The fields that belong in one part of the resource.
    private func members(_ part: Field.Place.Part) -> [Document.Member] {
        JobDefinition.fields.compactMap { field in
            guard let place = field.place, place.part == part else { return nil }
            return job.values.document(field.key).map { Document.Member(key: place.key, value: $0) }
        }
    }

    /// The names of the resource's parts in a plan, by JSON pointer. The scripts read the list of variables as two mappings, `env`
    /// and `secrets`.
    static var words: Document {
        let task = Field.Place.Part.task.rawValue
        let container = "\(task)/containers/0"
        let fixed = [
            ("/metadata/labels", "label"), (Field.Place.Part.annotation.rawValue, "annotation"),
            ("\(task)/serviceAccountName", "service account"), ("\(task)/containers", "containers"),
            ("\(container)/image", "image"), ("\(container)/command", "command"), ("\(container)/args", "args"),
            ("\(container)/env", "env"), ("\(container)/secrets", "secrets"),
        ]
        let fields = JobDefinition.fields.compactMap { field in field.place.map { ($0.pointer, field.words) } }
        return .map((fixed + fields).map { ($0, .string($1)) })
    }

    // MARK: The trigger

    /// Cloud Scheduler's job that starts it, as its REST resource; `nil` where people start it.
    var trigger: Document? {
        guard let schedule = job.schedule, let triggerName else { return nil }
        let place = "projects/\(environment.project)/locations/\(environment.region)"
        return [
            "name": .string("\(place)/jobs/\(triggerName)"),
            "description": .string("Starts \(name). \(job.purpose)"),
            "schedule": .string(schedule.text),
            "timeZone": .string(job.timeZone),
            "state": .string(isPaused ? "PAUSED" : "ENABLED"),
            "attemptDeadline": "180s",
            // Only the start is repeated: the target answers as soon as the execution is created (fact RUN-06).
            "retryConfig": [
                "retryCount": 3, "maxRetryDuration": "0s", "minBackoffDuration": "5s", "maxBackoffDuration": "60s",
                "maxDoublings": 4,
            ],
            "httpTarget": [
                "uri": .string("https://run.googleapis.com/v2/\(place)/jobs/\(name):run"),
                "httpMethod": "POST",
                "oauthToken": [
                    "serviceAccountEmail": .string(environment.accountEmail(environment.triggerAccount)),
                    "scope": "https://www.googleapis.com/auth/cloud-platform",
                ],
            ],
        ]
    }

    /// The names of a trigger's parts in a plan. Our triggers have no body: it would override how the job is started.
    static let triggerWords: Document = [
        "/timeZone": "time zone", "/attemptDeadline": "attempt deadline", "/retryConfig/retryCount": "retries",
        "/retryConfig/maxRetryDuration": "longest retrying", "/retryConfig/minBackoffDuration": "shortest backoff",
        "/retryConfig/maxBackoffDuration": "longest backoff", "/retryConfig/maxDoublings": "doublings",
        "/httpTarget/uri": "target", "/httpTarget/httpMethod": "method", "/httpTarget/body": "body",
        "/httpTarget/oauthToken/serviceAccountEmail": "account", "/httpTarget/oauthToken/scope": "scope",
    ]
}

extension EnvironmentDefinition {
    /// The labels that prove that a job, an alert policy or a notification channel is this environment's.
    var mark: [Document.Member] {
        [
            .init(key: "managed-by", value: .string(DeployedJob.managedBy)),
            .init(key: "environment", value: .string(name)),
        ]
    }
}
