/// The service accounts of one environment and the roles that each of them has: `iam.json`.
struct AccessPlan {
    let file: JobsFile
    let environment: EnvironmentDefinition

    var document: Document {
        [
            "accounts": .array(accounts),
            "custom_roles": .array(file.customRoles.map(customRole)),
            "project": bindings(grants("project")),
            "datasets": .array(
                file.datasets.map {
                    [
                        "name": .string($0.name), "description": .string($0.description.value),
                        "bindings": bindings(grants($0.name)),
                    ]
                }),
            "secrets": .array(
                secretUsers.sorted { $0.key < $1.key }.map { secret, users in
                    [
                        "name": .string(secret),
                        "bindings": bindings(["roles/secretmanager.secretAccessor": users]),
                    ]
                }),
            "jobs": .array(
                file.jobs.filter { $0.schedule != nil }.map {
                    [
                        "name": .string(environment.deployedName($0.name)),
                        "bindings": bindings(["roles/run.invoker": [member(environment.triggerAccount)]]),
                    ]
                }),
        ]
    }

    private var accounts: [Document] {
        let jobs = file.jobs.map { ($0.name, "\(environment.deployedName($0.name)) (\(environment.name))", $0.purpose) }
        let trigger = (
            environment.triggerAccount, "Triggers of the scheduler jobs (\(environment.name))",
            "Cloud Scheduler starts the scheduler jobs as this account."
        )
        return (jobs + [trigger]).map { name, title, purpose in
            [
                "id": .string(environment.accountID(name)),
                "email": .string(environment.accountEmail(name)),
                "display_name": .string(String(title.prefix(100))),
                "description": .string(String(purpose.prefix(256))),
            ]
        }
    }

    private func customRole(_ role: CustomRole) -> Document {
        [
            "id": .string(environment.customRoleID(role.name)),
            "title": .string(role.title),
            "description": .string("For the scheduler jobs of \(environment.name)."),
            "permissions": .strings(role.permissions.sorted()),
        ]
    }

    /// Members by role.
    private func grants(_ scope: String) -> [String: [String]] {
        var result: [String: [String]] = [:]
        for job in file.jobs {
            for role in job.roles.filter({ $0.scope == scope }).flatMap(\.roles) {
                let isCustom = file.customRoles.contains { $0.name == role.value }
                result[isCustom ? environment.customRole(role.value) : role.value, default: []].append(member(job.name))
            }
        }
        return result
    }

    private var secretUsers: [String: [String]] {
        var result: [String: [String]] = [:]
        for job in file.jobs {
            for secret in Set(job.secrets.map { environment.fill($0.text.value) }) {
                result[secret, default: []].append(member(job.name))
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
