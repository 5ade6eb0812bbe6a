/// The rules between the parts of `jobs.yaml`.
struct FileRules {
    let file: JobsFile
    let log: ProblemLog

    /// Nothing follows from a name that is wrong itself.
    private var namedJobs: [JobDefinition] { file.jobs.filter { Pattern.jobName.fits($0.name) } }

    func check() {
        checkJobNames()
        checkDatasets()
        for environment in file.environments {
            checkLengths(in: environment)
            checkFilters(in: environment)
        }
        checkCollisions()
        checkPrefixes()
        AccessRules(file: file, log: log).check()
        PlaceRules(file: file, log: log).check()
        for job in file.jobs { checkShape(of: job) }
        VariableRules(file: file, log: log).check()
    }

    private func checkJobNames() {
        var lines: [String: Int] = [:]
        for job in file.jobs where !job.name.isEmpty {
            if let first = lines[job.name] {
                log.add(job.line, "job \(job.name) appears twice, first in line \(first)")
            }
            lines[job.name] = lines[job.name] ?? job.line
        }
        for environment in file.environments {
            for job in environment.paused
            where !file.jobs.contains(where: { $0.name == job.value && $0.schedule != nil }) {
                log.add(job.line, "environments \(environment.name): paused names \(job.value), which has no schedule")
            }
        }
    }

    private func checkDatasets() {
        for dataset in file.datasets where !Pattern.dataset.fits(dataset.name) || dataset.name == "project" {
            log.add(dataset.line, "datasets: \(dataset.name) cannot be the name of a dataset here")
        }
    }

    private func checkLengths(in environment: EnvironmentDefinition) {
        for job in namedJobs {
            let name = environment.deployedName(job.name)
            if name.utf8.count > 63 {
                log.add(job.line, "job \(job.name): \(name) in \(environment.name) has more than 63 characters")
            }
        }
        for job in namedJobs.map(\.name) + [environment.triggerAccount] {
            let id = environment.accountID(job)
            if !Pattern.account.fits(id) {
                let line =
                    file.jobs.first { $0.name == job }?.line ?? environment.values.lineOf("account_prefix")
                log.add(
                    line, "job \(job): its account \(id) in \(environment.name) must be \(Pattern.account.meaning)")
            }
        }
        if file.jobs.contains(where: { $0.name == environment.triggerAccount }) {
            log.add(
                environment.line, "no job can be called \(environment.triggerAccount): its account is the triggers'")
        }
    }

    /// A metric and an alert name every job in one filter.
    func checkFilters(in environment: EnvironmentDefinition) {
        let jobs = namedJobs.map {
            DeployedJob(job: $0, environment: environment, file: file, description: nil)
        }
        let length = max(
            LogMetrics(jobs: jobs, environment: environment).filter.utf16.count,
            AlertPolicies(jobs: jobs, environment: environment).triggerFilter.utf16.count)
        if length > LogMetrics.longestFilter {
            log.add(
                environment.line,
                "environments \(environment.name): the names of all jobs make a filter of \(length) characters, and Cloud Logging takes \(LogMetrics.longestFilter)"
            )
        }
    }

    private func checkShape(of job: JobDefinition) {
        guard job.values.integer("tasks") != nil, job.parallelism > job.tasks else { return }
        log.add(job.line, "job \(job.name): parallelism \(job.parallelism) is more than its tasks, \(job.tasks)")
    }

    /// Two environments may share a project, but no name in it.
    private func checkCollisions() {
        var owners: [String: EnvironmentDefinition] = [:]
        for environment in file.environments {
            for name in names(in: environment) {
                if let other = owners[name], other.name != environment.name {
                    log.add(
                        environment.values.lineOf("prefix"),
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

    /// A name that begins with the longer prefix of another environment would count as that environment's.
    private func checkPrefixes() {
        for environment in file.environments {
            for other in file.environments where other.name != environment.name && other.project == environment.project
            {
                for job in namedJobs {
                    let account = environment.accountID(job.name)
                    var owned = [(account, environment.accountPrefix, other.accountPrefix)]
                    if other.region == environment.region {
                        owned.append((environment.deployedName(job.name), environment.prefix, other.prefix))
                    }
                    for (text, mine, theirs) in owned where theirs.count > mine.count && text.hasPrefix(theirs) {
                        log.add(
                            job.line,
                            "job \(job.name): \(text) in \(environment.name) begins with the prefix of \(other.name), \(theirs)"
                        )
                    }
                }
            }
        }
    }
}

/// Holds `jobs.yaml` and the executables of the package to each other.
struct TargetRules {
    let file: JobsFile

    /// - Parameter manifest: the text of `Package.swift`, where an executable of a job is a line `job("OrgSyncAllJob")`.
    func problems(manifest: String) -> [Problem] {
        let targets = self.targets(manifest)
        let known = file.jobs.filter { Pattern.executable.fits($0.executable) }
        let missing = known.filter { job in !targets.contains { $0.value == job.executable } }.map {
            Problem(
                line: $0.values.lineOf("executable"),
                message: "job \($0.name): Package.swift has no line job(\"\($0.executable)\")")
        }
        // Without any job that is said already.
        let wanted = file.jobs.isEmpty ? [] : targets
        let unused = wanted.filter { target in !file.jobs.contains { $0.executable == target.value } }.map {
            Problem(file: "Package.swift", line: $0.line, message: "no job of jobs.yaml has the executable \($0.value)")
        }
        return missing + unused
    }

    private func targets(_ manifest: String) -> [Located<String>] {
        manifest.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap { index, line in
            let code = line.drop { $0 == " " }
            guard code.hasPrefix("job(\"") else { return nil }
            return Located(String(code.dropFirst(5).prefix { $0 != "\"" }), line: index + 1)
        }
    }
}

/// Finds what is allowed and probably not meant.
struct FileWarnings {
    let file: JobsFile

    var all: [Problem] { sharedData }

    /// Leases and data belong to the project: one environment's run keeps the other's from its work.
    private var sharedData: [Problem] {
        file.environments.enumerated().flatMap { index, environment in
            file.environments.prefix(index).filter { $0.project == environment.project }.compactMap { other in
                let both = running(in: environment).filter(running(in: other).contains)
                guard !both.isEmpty else { return nil }
                return Problem(
                    line: environment.line,
                    message: """
                        environments \(other.name) and \(environment.name) share the data of \(environment.project), and both \
                        run \(both.joined(separator: ", ")) by schedule; name these jobs under paused in one of them
                        """)
            }
        }
    }

    private func running(in environment: EnvironmentDefinition) -> [String] {
        file.jobs.filter { job in job.schedule != nil && !environment.paused.contains { $0.value == job.name } }
            .map(\.name)
    }
}
