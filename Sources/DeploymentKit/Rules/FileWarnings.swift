/// What may be meant, and is probably not.
struct FileWarnings {
    let file: JobsFile

    var all: [Problem] { sharedData + silentNotifications }

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

    private var silentNotifications: [Problem] {
        file.environments.compactMap { environment in
            let silent = file.jobs.filter { job in
                job.secrets.contains { $0.name == "CA_ROOT_API_KEY" }
                    && !(file.variables + environment.environment + job.environment).contains {
                        $0.name == "API_SERVICE_URL"
                    }
            }
            guard !silent.isEmpty else { return nil }
            return Problem(
                line: environment.line,
                message: """
                    environments \(environment.name): CA_ROOT_API_KEY does nothing without API_SERVICE_URL, which is not \
                    set for \(silent.map(\.name).joined(separator: ", ")); set it under environment here
                    """)
        }
    }
}
