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

    /// What begins with the longer prefix of another environment would count as that one's.
    func checkPrefixes() {
        for environment in file.environments {
            for other in file.environments where other.name != environment.name && other.project == environment.project
            {
                for job in namedJobs {
                    let name = environment.deployedName(job.name)
                    let account = environment.accountID(job.name)
                    let owned = [(name, environment.prefix, other.prefix)].filter { _ in
                        other.region == environment.region
                    }
                    for (text, mine, theirs) in owned + [(account, environment.accountPrefix, other.accountPrefix)]
                    where theirs.value.count > mine.value.count && text.hasPrefix(theirs.value) {
                        log.add(
                            job.line,
                            "job \(job.name): \(text) in \(environment.name) begins with the prefix of \(other.name), \(theirs.value)"
                        )
                    }
                }
            }
        }
    }

    /// Everything that has a name of its own, with where it is.
    private func names(in environment: EnvironmentDefinition) -> [String] {
        let place = "in \(environment.project)"
        let regional = "\(place), \(environment.region)"
        let jobs = namedJobs.flatMap { job in
            ["job \(environment.deployedName(job.name)) \(regional)"]
                + (job.schedule == nil ? [] : ["trigger \(environment.triggerName(job.name)) \(regional)"])
        }
        let accounts = (namedJobs.map(\.name) + [environment.triggerAccount]).map {
            "account \(environment.accountID($0)) \(place)"
        }
        let roles = file.customRoles.map { "custom role \(environment.customRoleID($0.name)) \(place)" }
        return Array(Set(jobs + accounts + roles)).sorted()
    }
}
