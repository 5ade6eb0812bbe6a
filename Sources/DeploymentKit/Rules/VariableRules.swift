/// What must hold for variables, secrets and arguments.
struct VariableRules {
    let file: JobsFile
    let log: ProblemLog

    /// Set for every job by the generator.
    static let generated: Set<String> = [
        "GCP_PROJECT_ID", "ENVIRONMENT", "BIGQUERY_LOCATION", "DEADLINE_SECONDS", "LEASE_SECONDS",
    ]

    func check() {
        check(file.variables, "defaults")
        for environment in file.environments {
            check(environment.environment, "environments \(environment.name)")
        }
        for job in file.jobs {
            let title = "job \(job.name)"
            check(job.environment, title)
            for secret in job.secrets { check(secret: secret, job) }
            for argument in job.arguments {
                checkPlaceholders(argument, title)
                if SecretSigns.isValue(argument.value) {
                    log.add(argument.line, "\(title): an argument looks like a secret; put it into secrets")
                }
            }
        }
    }

    private func check(_ variables: [(name: String, text: Located<String>)], _ title: String) {
        for (name, text) in variables {
            checkName(name, text.line, title)
            checkPlaceholders(text, title)
            if SecretSigns.isName(name) || SecretSigns.isValue(text.value) {
                log.add(text.line, "\(title): \(name) looks like a secret; put it into secrets, not into environment")
            }
        }
    }

    private func check(secret: (name: String, text: Located<String>), _ job: JobDefinition) {
        let title = "job \(job.name)"
        checkName(secret.name, secret.text.line, title)
        if job.environment.contains(where: { $0.name == secret.name }) {
            log.add(secret.text.line, "\(title): \(secret.name) is both in environment and in secrets")
        }
        if SecretSigns.isValue(secret.text.value) {
            log.add(secret.text.line, "\(title): \(secret.name) holds a secret itself instead of a secret's name")
            return
        }
        guard checkPlaceholders(secret.text, title) else { return }
        for environment in file.environments where !Pattern.secret.fits(environment.fill(secret.text.value)) {
            let name = environment.fill(secret.text.value)
            log.add(secret.text.line, "\(title): the secret's name \(name) must be \(Pattern.secret.meaning)")
        }
    }

    private func checkName(_ name: String, _ line: Int, _ title: String) {
        if !Pattern.variable.fits(name) {
            log.add(line, "\(title): the variable \(name) must be \(Pattern.variable.meaning)")
        } else if Self.generated.contains(name) {
            log.add(line, "\(title): \(name) is set by the generator")
        } else if name.hasPrefix("CLOUD_RUN_") || name.hasPrefix("X_GOOGLE_") {
            log.add(line, "\(title): \(name) is reserved by Cloud Run")
        }
    }

    @discardableResult
    private func checkPlaceholders(_ text: Located<String>, _ title: String) -> Bool {
        let known = Placeholder.allCases.reduce(text.value) { $0.replacing("{\($1.rawValue)}", with: "") }
        guard known.contains("{") || known.contains("}") else { return true }
        let names = Placeholder.allCases.map { "{\($0.rawValue)}" }.joined(separator: ", ")
        log.add(text.line, "\(title): \(text.value) has a placeholder other than \(names)")
        return false
    }
}
