/// The rules for variables, secrets and arguments.
struct VariableRules {
    let file: JobsFile
    let log: ProblemLog

    /// Set by the generator.
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
                checkPlaceholders(argument.value, argument.line, title)
                if SecretSigns.isValue(argument.value) {
                    log.add(argument.line, "\(title): an argument looks like a secret; put it into secrets")
                }
            }
        }
    }

    private func check(_ variables: [Variable], _ title: String) {
        for variable in variables {
            checkName(variable, title)
            checkPlaceholders(variable.value, variable.line, title)
            checkLength(variable, title)
            if SecretSigns.isSecret(variable) {
                log.add(
                    variable.line,
                    "\(title): \(variable.name) looks like a secret; put it into secrets, not into environment")
            }
        }
    }

    /// Cloud Run takes 32,768 bytes of a value.
    private func checkLength(_ variable: Variable, _ title: String) {
        let lengths = file.environments.map { $0.fill(variable.value).utf8.count }
        if let length = lengths.max(), length > 32_768 {
            log.add(variable.line, "\(title): \(variable.name) has \(length) bytes, and may have 32768")
        }
    }

    private func check(secret: Variable, _ job: JobDefinition) {
        let title = "job \(job.name)"
        checkName(secret, title)
        if job.environment.contains(where: { $0.name == secret.name }) {
            log.add(secret.line, "\(title): \(secret.name) is both in environment and in secrets")
        }
        if SecretSigns.isValue(secret.value) {
            log.add(secret.line, "\(title): \(secret.name) holds a secret itself instead of a secret's name")
            return
        }
        guard checkPlaceholders(secret.value, secret.line, title) else { return }
        for environment in file.environments {
            let reference = SecretReference(environment.fill(secret.value))
            if !Pattern.secret.fits(reference.name) {
                log.add(secret.line, "\(title): the secret's name \(reference.name) must be \(Pattern.secret.meaning)")
            } else if !reference.hasGoodVersion {
                log.add(
                    secret.line,
                    "\(title): the version of the secret \(reference.name) must be a whole number from 1, or latest, not \(reference.version.isEmpty ? "nothing" : reference.version)"
                )
            }
        }
    }

    /// Cloud Run refuses variables with its own names (fact RUN-09).
    private func checkName(_ variable: Variable, _ title: String) {
        let name = variable.name
        if !Pattern.variable.fits(name) {
            log.add(variable.line, "\(title): the variable \(name) must be \(Pattern.variable.meaning)")
        } else if Self.generated.contains(name) {
            log.add(variable.line, "\(title): \(name) is set by the generator")
        } else if name.hasPrefix("CLOUD_RUN_") || name.hasPrefix("X_GOOGLE_") {
            log.add(variable.line, "\(title): \(name) is reserved by Cloud Run")
        }
    }

    @discardableResult
    private func checkPlaceholders(_ text: String, _ line: Int, _ title: String) -> Bool {
        let placeholders = EnvironmentDefinition.Placeholder.allCases.map(\.text)
        let rest = placeholders.reduce(text) { $0.replacing($1, with: "") }
        guard rest.contains("{") || rest.contains("}") else { return true }
        log.add(
            line, "\(title): \(text) has a placeholder other than \(placeholders.joined(separator: ", "))")
        return false
    }
}

/// Recognizes a secret that someone is about to commit.
enum SecretSigns {
    private static let words: Set<Substring> = [
        "KEY", "KEYS", "APIKEY", "SECRET", "SECRETS", "TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL",
        "CREDENTIALS",
    ]
    private static let beginnings = [
        "sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_", "AIza", "ya29.", "ghp_", "github_pat_", "xoxb-",
        "eyJ", "-----BEGIN",
    ]

    static func isSecret(_ variable: Variable) -> Bool {
        variable.name.uppercased().split(separator: "_").contains { words.contains($0) } || isValue(variable.value)
    }

    static func isValue(_ value: String) -> Bool {
        // And a password in a URL, https://user:password@host.
        beginnings.contains { value.contains($0) } || value.contains(/:\/\/[^\/@\s]*:[^\/\s]+@/)
    }
}
