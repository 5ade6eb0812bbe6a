extension FileRules {
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

    func checkRoles() {
        for role in file.customRoles { checkCustomRole(role) }
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

    private func checkCustomRole(_ role: CustomRole) {
        if !Pattern.roleName.fits(role.name) {
            log.add(role.line, "custom_roles: \(role.name) must be \(Pattern.roleName.meaning)")
        }
        if role.title.count > 100 {
            log.add(role.line, "custom_roles \(role.name): its title has more than 100 characters")
        }
        for permission in role.permissions where permission.split(separator: ".").count != 3 {
            log.add(role.line, "custom_roles \(role.name): \(permission) is no permission, such as bigquery.tables.get")
        }
        for permission in role.permissions where permission.hasSuffix(".setIamPolicy") {
            log.add(role.line, "custom_roles \(role.name): with \(permission) a job could give itself every access")
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
        }
    }
}
