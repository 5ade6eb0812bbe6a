/// The answer of a built job to `--describe`, in the environment in which it was started.
package struct JobDescription: Codable, Sendable {
    package var name: String
    package var executable: String
    package var purpose: String
    /// Whether a second execution that starts while one runs skips its work.
    package var exclusive: Bool
    package var variables: [Variable]
    /// The problems with the values of the variables.
    package var problems: [Finding]
    /// What the schedule must be like; `nil` if any will do.
    package var schedule: ScheduleNeed?

    package struct Variable: Codable, Sendable {
        package var name: String
        package var required: Bool
        package var secret: Bool
    }

    package struct ScheduleNeed: Codable, Sendable {
        /// `every_day` or `first_of_every_month`; `nil` if only the pause counts.
        package var rule: String?
        /// The longest time between two runs.
        package var longestPauseSeconds: Int?
        package var because: String

        enum CodingKeys: String, CodingKey {
            case rule, because
            case longestPauseSeconds = "longest_pause_seconds"
        }
    }

    package struct Finding: Codable, Sendable {
        package var variables: [String]
        package var problem: String
    }

    func variable(_ name: String) -> Variable? { variables.first { $0.name == name } }
}

/// Descriptions by environment and by the job's name in `jobs.yaml`.
package typealias JobDescriptions = [String: [String: JobDescription]]

/// One start of a built job with `--describe`.
package struct JobProcess: Sendable {
    package var environment: String
    package var job: String
    package var executable: String
    package var variables: [String: String]
}

extension JobsFile {
    /// The starts that describe every job in every environment. Secrets are not needed for that, and not given.
    package var processes: [JobProcess] {
        environments.flatMap { environment in
            jobs.map { job in
                let deployed = DeployedJob(job: job, environment: environment, file: self, description: nil)
                let variables = Dictionary(deployed.variables.map { ($0.name, $0.value) }) { $1 }
                return JobProcess(
                    environment: environment.name, job: job.name, executable: job.executable, variables: variables)
            }
        }
    }

    /// Throws everything in which the file contradicts the built jobs. A job without a description is not checked.
    package func check(against descriptions: JobDescriptions) throws(Problems) {
        let log = ProblemLog()
        DescriptionRules(file: self, descriptions: descriptions, log: log).check()
        guard log.problems.isEmpty else { throw Problems(log.problems) }
    }
}

/// Compares `jobs.yaml` with the descriptions of the built jobs.
private struct DescriptionRules {
    let file: JobsFile
    let descriptions: JobDescriptions
    let log: ProblemLog

    /// Everything but the problems with values is the same in every environment.
    private var described: [(job: JobDefinition, description: JobDescription)] {
        file.jobs.compactMap { job in
            file.environments.lazy.compactMap { descriptions[$0.name]?[job.name] }.first.map { (job, $0) }
        }
    }

    func check() {
        for (job, description) in described {
            checkIdentity(of: job, description)
            checkVariables(of: job, description)
            checkValues(of: job)
            ScheduleRules(file: file, descriptions: descriptions, log: log).check(job)
        }
        checkShared(file.variables, "defaults")
        for environment in file.environments {
            checkShared(environment.environment, "environments \(environment.name)")
        }
    }

    private func checkIdentity(of job: JobDefinition, _ description: JobDescription) {
        if description.name != job.name {
            log.add(
                job.line, "job \(job.name): \(job.executable) is the job \(description.name) by its own description")
        }
        if description.executable != job.executable {
            log.add(
                job.values.lineOf("executable"),
                "job \(job.name): \(job.executable) describes itself as \(description.executable)")
        }
        if description.purpose != job.purpose {
            log.add(
                job.values.lineOf("purpose"),
                "job \(job.name): purpose must be what \(job.executable) says: \(description.purpose)")
        }
        if description.exclusive, job.tasks > 1 {
            log.add(job.line, "job \(job.name): an exclusive job has one task, not \(job.tasks)")
        }
    }

    private func checkVariables(of job: JobDefinition, _ description: JobDescription) {
        let names = description.variables.map(\.name)
        for variable in job.environment + job.secrets where !names.contains(variable.name) {
            log.add(
                variable.line,
                "job \(job.name): \(job.executable) does not read \(variable.name)\(suggestion(for: variable.name, in: names))"
            )
        }
        for variable in job.environment where description.variable(variable.name)?.secret == true {
            noteSecret(variable, "job \(job.name)")
        }
        for environment in file.environments {
            for variable in description.variables where variable.required && !isSet(variable.name, job, environment) {
                let what = variable.secret ? "secret" : "variable"
                let place = variable.secret ? "secrets" : "environment"
                log.add(
                    job.line,
                    "job \(job.name) lacks the \(what) \(variable.name), which \(job.executable) requires; put it into \(place)"
                )
            }
        }
    }

    private func isSet(_ name: String, _ job: JobDefinition, _ environment: EnvironmentDefinition) -> Bool {
        VariableRules.generated.contains(name) || job.secrets.contains { $0.name == name }
            || file.variables(of: job, in: environment).contains { $0.name == name }
    }

    /// Variables for several jobs: each reaches the jobs that read it, and at least one must.
    private func checkShared(_ variables: [Variable], _ title: String) {
        let all = described.flatMap(\.description.variables)
        for variable in variables {
            let readers = all.filter { $0.name == variable.name }
            if readers.isEmpty, !described.isEmpty {
                let near = suggestion(for: variable.name, in: all.map(\.name))
                log.add(variable.line, "\(title): no job reads \(variable.name)\(near)")
            } else if readers.contains(where: \.secret) {
                noteSecret(variable, title)
            }
        }
    }

    private func noteSecret(_ variable: Variable, _ title: String) {
        // A name or a value that looks like a secret has been noted already.
        guard !SecretSigns.isSecret(variable) else { return }
        log.add(
            variable.line, "\(title): \(variable.name) is a secret; put it into secrets, not into environment")
    }

    /// The problems that the job itself found in its values, with the environments where they are not in all of them. A value for
    /// several jobs is wrong once.
    private func checkValues(of job: JobDefinition) {
        var places: [Place: [String]] = [:]
        for environment in file.environments {
            for finding in descriptions[environment.name]?[job.name]?.problems ?? [] {
                // The process did not get the secret's value, so it cannot judge it.
                if finding.variables.contains(where: { name in job.secrets.contains { $0.name == name } }) { continue }
                // A variable that is required and absent has been noted already.
                if finding.variables.contains(where: { isRequired($0, job, environment) }),
                    finding.variables.allSatisfy({ !isSet($0, job, environment) })
                {
                    continue
                }
                places[place(of: finding, job, environment), default: []].append(environment.name)
            }
        }
        for (place, names) in places {
            let isEverywhere = names.count == file.environments.count || place.title.hasPrefix("environments ")
            let suffix = isEverywhere ? "" : " in \(names.joined(separator: ", "))"
            log.add(place.line, "\(place.title)\(suffix): \(place.problem)")
        }
    }

    private struct Place: Hashable {
        var line: Int
        var title: String
        var problem: String
    }

    /// Where the value stands that a finding is about; the job's own line where the file does not set it.
    private func place(
        of finding: JobDescription.Finding, _ job: JobDefinition, _ environment: EnvironmentDefinition
    ) -> Place {
        let sources = [
            ("job \(job.name)", job.environment), ("environments \(environment.name)", environment.environment),
            ("defaults", file.variables),
        ]
        for (title, variables) in sources {
            if let variable = variables.first(where: { finding.variables.contains($0.name) }) {
                return Place(line: variable.line, title: title, problem: finding.problem)
            }
        }
        return Place(line: job.line, title: "job \(job.name)", problem: finding.problem)
    }

    private func isRequired(_ name: String, _ job: JobDefinition, _ environment: EnvironmentDefinition) -> Bool {
        descriptions[environment.name]?[job.name]?.variable(name)?.required == true
    }
}
