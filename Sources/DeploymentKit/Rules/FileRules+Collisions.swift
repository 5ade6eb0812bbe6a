extension FileRules {
    /// Two environments may share a project, but no name in it.
    func checkCollisions() {
        var owners: [String: EnvironmentDefinition] = [:]
        for environment in file.environments {
            for name in names(in: environment) {
                if let other = owners[name], other.name != environment.name {
                    log.add(
                        environment.prefix.line,
                        "environments \(environment.name) and \(other.name) both have the \(name)")
                } else {
                    owners[name] = environment
                }
            }
        }
    }

    /// Everything that has a name of its own, with where it is.
    private func names(in environment: EnvironmentDefinition) -> [String] {
        let place = "in \(environment.project)"
        let regional = "\(place), \(environment.region)"
        let jobs = file.jobs.flatMap { job in
            ["job \(environment.deployedName(job.name)) \(regional)"]
                + (job.schedule == nil ? [] : ["trigger \(environment.triggerName(job.name)) \(regional)"])
        }
        let accounts = (file.jobs.map(\.name) + [environment.triggerAccount]).map {
            "account \(environment.accountID($0)) \(place)"
        }
        let roles = file.customRoles.map { "custom role \(environment.customRoleID($0.name)) \(place)" }
        return Array(Set(jobs + accounts + roles)).sorted()
    }
}
