/// Everything that is written for the environments of `jobs.yaml`.
package enum GeneratedFiles {
    /// Texts by their paths below `deploy/generated`.
    package static func texts(for file: JobsFile) -> [String: String] {
        var result: [String: String] = [:]
        for environment in file.environments {
            for (path, text) in texts(for: environment, of: file) { result["\(environment.name)/\(path)"] = text }
        }
        return result
    }

    private static func texts(for environment: EnvironmentDefinition, of file: JobsFile) -> [String: String] {
        let jobs = file.jobs.map { DeployedJob(job: $0, environment: environment, common: file.variables) }
        var result = [
            "deployment.json": DeploymentIndex(file: file, environment: environment, jobs: jobs).document.json,
            "iam.json": AccessPlan(file: file, environment: environment).document.json,
        ]
        for job in jobs {
            result["jobs/\(job.name).yaml"] = header + job.resource.yaml
            if let trigger = job.trigger, let name = job.triggerName { result["triggers/\(name).json"] = trigger.json }
        }
        for (name, document) in AlertPolicies(jobs: jobs, environment: environment).documents {
            result["alerts/\(name).json"] = document.json
        }
        return result
    }

    private static let header = "# Written by generate-jobs from jobs.yaml: edit that instead.\n"
}
