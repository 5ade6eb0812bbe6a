/// The rules for roles.
struct AccessRules {
    let file: JobsFile
    let log: ProblemLog

    /// The permissions on tables, routines, datasets and jobs of BigQuery that predefined roles contain: only roles of this table
    /// may be given.
    /// Source: <https://docs.cloud.google.com/bigquery/docs/access-control>, "BigQuery predefined IAM roles" (fact IAM-03).
    static let predefined: [String: Set<String>] = [
        "roles/bigquery.jobUser": ["bigquery.config.get", "bigquery.jobs.create"],
        "roles/bigquery.metadataViewer": [
            "bigquery.datasets.get", "bigquery.datasets.getIamPolicy", "bigquery.routines.get",
            "bigquery.routines.list", "bigquery.tables.get", "bigquery.tables.getIamPolicy", "bigquery.tables.list",
        ],
        "roles/bigquery.dataViewer": [
            "bigquery.datasets.get", "bigquery.datasets.getIamPolicy", "bigquery.routines.get",
            "bigquery.routines.list", "bigquery.tables.createSnapshot", "bigquery.tables.export", "bigquery.tables.get",
            "bigquery.tables.getData", "bigquery.tables.getIamPolicy", "bigquery.tables.list",
            "bigquery.tables.replicateData",
        ],
        "roles/bigquery.dataEditor": [
            "bigquery.config.get", "bigquery.datasets.create", "bigquery.datasets.get",
            "bigquery.datasets.getIamPolicy", "bigquery.datasets.updateTag", "bigquery.routines.create",
            "bigquery.routines.delete", "bigquery.routines.get", "bigquery.routines.list", "bigquery.routines.update",
            "bigquery.tables.create", "bigquery.tables.createIndex", "bigquery.tables.createSnapshot",
            "bigquery.tables.delete", "bigquery.tables.deleteIndex", "bigquery.tables.export", "bigquery.tables.get",
            "bigquery.tables.getData",
            "bigquery.tables.getIamPolicy", "bigquery.tables.list", "bigquery.tables.replicateData",
            "bigquery.tables.restoreSnapshot", "bigquery.tables.update", "bigquery.tables.updateData",
            "bigquery.tables.updateIndex", "bigquery.tables.updateTag",
        ],
    ]

    /// Roles that would give a job far more than it needs.
    private static let tooWide: Set<String> = [
        "roles/owner", "roles/editor", "roles/viewer", "roles/bigquery.dataOwner",
    ]
    /// Roles that only make sense on a dataset: on the project they reach every customer's data.
    static let onDatasetsOnly: Set<String> = ["roles/bigquery.dataEditor", "roles/bigquery.dataViewer"]

    /// Only predefined roles are judged by their names; a custom one has the permissions that the file lists.
    private static func isTooWide(_ role: String) -> Bool {
        tooWide.contains(role) || role.hasPrefix("roles/") && role.lowercased().hasSuffix("admin")
    }

    func check() {
        for role in file.customRoles { check(role) }
        var used: Set<String> = []
        for job in file.jobs {
            for grant in job.roles {
                checkScope(of: grant, job)
                for role in grant.roles {
                    used.insert(role.value)
                    check(role, of: grant, job)
                }
            }
        }
        checkUses(&used)
        // Without the list of uses, a file whose jobs name no role does not say who uses one.
        let isJudged = file.access != nil || file.jobs.contains { !$0.roles.isEmpty }
        for role in file.customRoles where isJudged && !used.contains(role.name) {
            log.add(role.line, "custom_roles \(role.name) is not used by any job")
        }
    }

    private func check(_ role: CustomRole) {
        if !Pattern.roleName.fits(role.name) {
            log.add(role.line, "custom_roles: \(role.name) must be \(Pattern.roleName.meaning)")
        }
        for permission in role.permissions where permission.hasSuffix(".setIamPolicy") {
            log.add(role.line, "custom_roles \(role.name): with \(permission) a job could give itself every access")
        }
        // A name in a wrong form is reported already.
        for permission in role.values.list("permissions")
        where Pattern.permission.fits(permission.value) && PublishedAccess.isUnknown(permission: permission.value) {
            let near = suggestion(for: permission.value, in: PublishedAccess.permissions)
            log.add(
                permission.line, "custom_roles \(role.name): Google has no permission \(permission.value)\(near)")
        }
    }

    private func checkScope(of grant: RoleGrant, _ job: JobDefinition) {
        let scopes = ["project"] + file.datasets.map(\.name)
        guard !scopes.contains(grant.scope) else { return }
        let known = scopes.joined(separator: ", ")
        log.add(grant.line, "job \(job.name): roles are given on \(known), not on \(grant.scope)")
    }

    private func check(_ role: Located<String>, of grant: RoleGrant, _ job: JobDefinition) {
        let custom = file.customRoles.contains { $0.name == role.value }
        if !custom, !role.value.hasPrefix("roles/") {
            log.add(
                role.line, "job \(job.name): \(role.value) is neither roles/... nor one of custom_roles")
        } else if Self.isTooWide(role.value) {
            log.add(role.line, "job \(job.name): \(role.value) is wider than any job needs")
        } else if grant.scope == "project", Self.onDatasetsOnly.contains(role.value) {
            log.add(role.line, "job \(job.name): give \(role.value) on a dataset, not on the project")
        } else if !custom, Self.predefined[role.value] == nil {
            let near = suggestion(for: role.value, in: Self.predefined.keys)
            log.add(
                role.line,
                PublishedAccess.isUnknown(role: role.value)
                    ? "job \(job.name): Google has no role \(role.value)\(near)"
                    : "job \(job.name): the table of roles in AccessRules.swift does not have \(role.value)\(near)")
        }
    }

    // MARK: What the jobs use

    /// Chooses the roles for everything that the jobs use, and notes them as used.
    private func checkUses(_ used: inout Set<String>) {
        guard let uses = file.access?.uses else { return }
        let names = Set(file.jobs.map(\.name))
        for unknown in Set(uses.keys).subtracting(names).sorted() {
            log.add(1, "\(Self.list) has the job \(unknown), which this file does not have: run \(Self.recorder)")
        }
        for job in file.jobs {
            if uses[job.name] == nil {
                log.add(
                    job.line, "job \(job.name) is not in \(Self.list), so it would get no access: run \(Self.recorder)")
            }
            let grants = file.grants(of: job) { use in
                let place = use.on == "project" ? "the project" : use.on
                log.add(
                    job.line,
                    "job \(job.name) uses \(use.permissions.sorted().joined(separator: ", ")) on \(place), and no role has that; "
                        + "add one to custom_roles")
            }
            used.formUnion(grants.map(\.role))
        }
    }

    private static let list = "deploy/access.json"
    private static let recorder = "scripts/record-access.sh"
}
