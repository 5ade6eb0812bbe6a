/// What must hold between the parts of `jobs.yaml`.
struct FileRules {
    let file: JobsFile
    let log: ProblemLog

    /// Nothing follows from a name that is wrong itself.
    var namedJobs: [JobDefinition] { file.jobs.filter { Pattern.jobName.fits($0.name) } }

    func check() {
        checkJobNames()
        checkDatasets()
        for environment in file.environments { checkLengths(in: environment) }
        checkCollisions()
        checkPrefixes()
        checkRoles()
        for job in file.jobs { checkShape(of: job) }
        VariableRules(file: file, log: log).check()
    }

    private func checkJobNames() {
        var lines: [String: Int] = [:]
        for job in file.jobs where !job.name.isEmpty {
            if let first = lines[job.name] {
                log.add(job.line, "job \(job.name) is there twice, first in line \(first)")
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
            log.add(dataset.description.line, "datasets: \(dataset.name) cannot be the name of a dataset here")
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
                let line = file.jobs.first { $0.name == job }?.line ?? environment.accountPrefix.line
                log.add(
                    line, "job \(job): its account \(id) in \(environment.name) must be \(Pattern.account.meaning)")
            }
        }
        if file.jobs.contains(where: { $0.name == environment.triggerAccount }) {
            log.add(
                environment.line, "no job can be called \(environment.triggerAccount): its account is the triggers'")
        }
    }

    private func checkShape(of job: JobDefinition) {
        if job.isExclusive, job.tasks > 1 {
            log.add(job.line, "job \(job.name): an exclusive job has one task, not \(job.tasks)")
        }
        if job.parallelism > job.tasks {
            log.add(job.line, "job \(job.name): parallelism \(job.parallelism) is more than its tasks, \(job.tasks)")
        }
    }
}
