/// The rules for roles.
struct AccessRules {
    let file: JobsFile
    let log: ProblemLog

    /// The permissions on tables, datasets and jobs of BigQuery that predefined roles contain: only roles of this table may be given.
    /// Source: <https://docs.cloud.google.com/bigquery/docs/access-control>, "BigQuery predefined IAM roles".
    static let predefined: [String: Set<String>] = [
        "roles/bigquery.jobUser": ["bigquery.config.get", "bigquery.jobs.create"],
        "roles/bigquery.metadataViewer": [
            "bigquery.datasets.get", "bigquery.datasets.getIamPolicy", "bigquery.tables.get",
            "bigquery.tables.getIamPolicy", "bigquery.tables.list",
        ],
        "roles/bigquery.dataViewer": [
            "bigquery.datasets.get", "bigquery.datasets.getIamPolicy", "bigquery.tables.createSnapshot",
            "bigquery.tables.export", "bigquery.tables.get", "bigquery.tables.getData", "bigquery.tables.getIamPolicy",
            "bigquery.tables.list", "bigquery.tables.replicateData",
        ],
        "roles/bigquery.dataEditor": [
            "bigquery.config.get", "bigquery.datasets.create", "bigquery.datasets.get",
            "bigquery.datasets.getIamPolicy", "bigquery.datasets.updateTag", "bigquery.tables.create",
            "bigquery.tables.createIndex", "bigquery.tables.createSnapshot", "bigquery.tables.delete",
            "bigquery.tables.deleteIndex", "bigquery.tables.export", "bigquery.tables.get", "bigquery.tables.getData",
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
    private static let onDatasetsOnly: Set<String> = ["roles/bigquery.dataEditor", "roles/bigquery.dataViewer"]

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
        for role in file.customRoles where !file.jobs.isEmpty && !used.contains(role.name) {
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
        } else if custom, grant.scope != "project" {
            log.add(role.line, "job \(job.name): the custom role \(role.value) is given on the project")
        } else if !custom, Self.predefined[role.value] == nil {
            let near = suggestion(for: role.value, in: Self.predefined.keys)
            log.add(
                role.line,
                PublishedAccess.isUnknown(role: role.value)
                    ? "job \(job.name): Google has no role \(role.value)\(near)"
                    : "job \(job.name): the table of roles in AccessRules.swift does not have \(role.value)\(near)")
        }
    }

    // MARK: The needs of a job

    /// The predefined role with these permissions and the fewest others; `nil` if no predefined role has them all.
    private static func narrowestRole(with permissions: Set<String>, on scope: String) -> String? {
        predefined
            .filter { permissions.isSubset(of: $0.value) && !(scope == "project" && onDatasetsOnly.contains($0.key)) }
            .min { ($0.value.count, $0.key) < ($1.value.count, $1.key) }?.key
    }

    /// Notes the permissions that a job needs by its own description and does not have. Roles on the project reach its datasets.
    func check(_ needs: [JobDescription.Access], of job: JobDefinition) {
        for need in needs {
            let grants = job.roles.filter { $0.scope == "project" || $0.scope == need.on }
            let roles = grants.flatMap(\.roles).map(\.value)
            let missing = Set(need.permissions).subtracting(roles.flatMap(permissions))
            guard !missing.isEmpty else { continue }
            let line = job.roles.first { $0.scope == need.on }?.line ?? job.line
            let place = need.on == "project" ? "the project" : need.on
            let narrowest = Self.narrowestRole(with: missing, on: need.on).map { "; \($0) does" } ?? ""
            log.add(
                line,
                "job \(job.name) needs \(missing.sorted().joined(separator: ", ")) on \(place); no role of it has that\(narrowest)"
            )
        }
    }

    private func permissions(of role: String) -> [String] {
        file.customRoles.first { $0.name == role }?.permissions ?? Array(Self.predefined[role] ?? [])
    }
}
