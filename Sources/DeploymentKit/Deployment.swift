/// One environment as the scripts deploy it: `deployment.json` and `iam.json`.
struct Deployment {
    let file: JobsFile
    let environment: EnvironmentDefinition
    let jobs: [DeployedJob]
    private let granted: [AccessGrant]

    init(file: JobsFile, environment: EnvironmentDefinition, jobs: [DeployedJob]) {
        self.file = file
        self.environment = environment
        self.jobs = jobs
        granted = file.jobs.flatMap { file.grants(of: $0) }
    }

    /// The services that the deployment itself and the jobs call.
    private static let services = [
        "artifactregistry", "bigquery", "cloudresourcemanager", "cloudscheduler", "iam", "logging", "monitoring", "run",
        "secretmanager",
    ]

    static let serviceNames = services.map { "\($0).googleapis.com" }

    // MARK: deployment.json

    var index: Document {
        [
            "environment": .string(environment.name),
            "project": .string(environment.project),
            "region": .string(environment.region),
            "prefix": .string(environment.prefix),
            "account_prefix": .string(environment.accountPrefix),
            "foreign_prefixes": .strings(neighbors { $0.region == environment.region }.map(\.prefix)),
            "foreign_account_prefixes": .strings(neighbors { _ in true }.map(\.accountPrefix)),
            "ownership": ownership,
            "confirm": .bool(environment.asksFirst),
            "images": .string(environment.images),
            "image_tag": .string(environment.imageTag),
            "notification_channels": .array(environment.alertEmails.map(channel)),
            "alert_channels": .strings(environment.alertChannels.map(\.value)),
            "services": .strings(Self.serviceNames),
            "secrets": .strings(Set(jobs.flatMap { $0.secrets.map(\.reference.name) }).sorted()),
            "words": ["job": DeployedJob.words, "trigger": DeployedJob.triggerWords],
            "jobs": .array(jobs.map(entry)),
        ]
    }

    /// The proof that a resource is this environment's. Accounts and custom roles have no labels.
    private var ownership: Document {
        [
            "labels": .object(environment.mark),
            "dataset_labels": datasetLabels,
            "account_display_names": .strings([accountTitle("*"), triggerAccountTitle]),
            "custom_role_description": .string(customRoleDescription),
            "metric_description": .string(LogMetrics.mark(of: environment)),
        ]
    }

    /// Other environments of the same project.
    private func neighbors(_ condition: (EnvironmentDefinition) -> Bool) -> [EnvironmentDefinition] {
        file.environments.filter {
            $0.name != environment.name && $0.project == environment.project && condition($0)
        }
    }

    private func channel(_ email: String) -> Document {
        [
            "type": "email",
            "displayName": .string("Scheduler jobs (\(environment.name)): \(email)"),
            "labels": ["email_address": .string(email)],
            "userLabels": .object(environment.mark),
        ]
    }

    private func entry(_ deployed: DeployedJob) -> Document {
        let job = deployed.job
        return [
            "name": .string(deployed.name),
            "job": .string(job.name),
            "executable": .string(job.executable),
            "purpose": .string(job.purpose),
            "image": .string(deployed.image),
            "account": .string(deployed.account),
            "schedule": job.schedule.map { .string($0.text) } ?? .null,
            "schedule_words": .string(job.schedule?.spoken(in: job.timeZone) ?? "by hand"),
            "time_zone": .string(job.timeZone),
            "budget": job.budget?.document ?? .null,
            "longest_gap_seconds": job.schedule?.longestGap.map { .integer($0) } ?? .null,
            "trigger": deployed.triggerName.map { .string($0) } ?? .null,
            "file": .string("jobs/\(deployed.name).yaml"),
        ]
    }

    // MARK: iam.json

    /// The service accounts and the roles that each of them has (fact SCH-01). What is created is the resource as its service takes it.
    var access: Document {
        [
            "accounts": .array(accounts),
            "custom_roles": .array(file.customRoles.map(customRole)),
            "project": bindings(grants("project")),
            "datasets": .array(
                file.datasets.map {
                    [
                        "name": .string($0.name), "resource": dataset($0), "bindings": bindings(grants($0.name)),
                    ]
                }),
            "tables": .array(tables.map { ["name": .string($0), "bindings": bindings(grants($0))] }),
            "secrets": .array(
                secretUsers.sorted { $0.key < $1.key }.map { secret, users in
                    [
                        "name": .string(secret),
                        "bindings": bindings(["roles/secretmanager.secretAccessor": users]),
                    ]
                }),
            "jobs": .array(
                jobs.filter { $0.triggerName != nil }.map {
                    [
                        "name": .string($0.name),
                        "bindings": bindings(["roles/run.invoker": [member(environment.triggerAccount)]]),
                    ]
                }),
        ]
    }

    var accounts: [Document] {
        let own = file.jobs.map { ($0.name, accountTitle($0.name), $0.purpose) }
        let trigger = (
            environment.triggerAccount, triggerAccountTitle,
            "Cloud Scheduler starts the scheduler jobs as this account."
        )
        return (own + [trigger]).map { name, title, purpose in
            [
                "id": .string(environment.accountID(name)),
                "email": .string(environment.accountEmail(name)),
                "resource": [
                    "displayName": .string(title.shortened(toBytes: 100)),
                    "description": .string(purpose.shortened(toBytes: 256)),
                ],
            ]
        }
    }

    private func accountTitle(_ job: String) -> String { "\(environment.deployedName(job)) (\(environment.name))" }

    private var triggerAccountTitle: String { "Triggers of the scheduler jobs (\(environment.name))" }

    private var customRoleDescription: String { "For the scheduler jobs of \(environment.name)." }

    func customRole(_ role: CustomRole) -> Document {
        [
            "id": .string(environment.customRoleID(role.name)),
            "resource": [
                "title": .string(role.title),
                "description": .string(customRoleDescription),
                "includedPermissions": .strings(role.permissions.sorted()),
                "stage": "GA",
            ],
        ]
    }

    /// Left to itself BigQuery makes whoever creates a dataset its owner, and every editor of the project a writer.
    func dataset(_ dataset: Variable) -> Document {
        [
            "datasetReference": ["projectId": .string(environment.project), "datasetId": .string(dataset.name)],
            "description": .string(dataset.value),
            "location": .string(environment.bigQueryLocation),
            "labels": datasetLabels,
            "access": [["role": "OWNER", "specialGroup": "projectOwners"]],
        ]
    }

    private var datasetLabels: Document {
        ["managed_by": .string(DeployedJob.managedBy), "environment": .string(environment.name)]
    }

    /// The tables that roles are given on, as `dataset.table`.
    var tables: [String] { Set(granted.map(\.on).filter { $0.contains(".") }).sorted() }

    /// Members by role, on `project`, a dataset or a table (fact IAM-01).
    func grants(_ place: String) -> [String: [String]] {
        var result: [String: [String]] = [:]
        for grant in granted where grant.on == place {
            let isCustom = file.customRoles.contains { $0.name == grant.role }
            result[isCustom ? environment.customRole(grant.role) : grant.role, default: []].append(member(grant.job))
        }
        return result
    }

    var secretUsers: [String: [String]] {
        var result: [String: [String]] = [:]
        for job in jobs {
            for name in Set(job.secrets.map(\.reference.name)) {
                result[name, default: []].append(member(job.job.name))
            }
        }
        return result
    }

    private func member(_ job: String) -> String { "serviceAccount:\(environment.accountEmail(job))" }

    private func bindings(_ grants: [String: [String]]) -> Document {
        .array(
            grants.sorted { $0.key < $1.key }.map { role, members in
                ["role": .string(role), "members": .strings(Set(members).sorted())]
            })
    }
}

extension String {
    /// The longest beginning that has at most that many bytes of UTF-8, the unit in which IAM counts.
    fileprivate func shortened(toBytes limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var result = self
        while result.utf8.count > limit { result.removeLast() }
        return result
    }
}
