/// Everything that is written from `jobs.yaml`.
package enum GeneratedFiles {
    /// The texts below `deploy/generated`, by path.
    package static func texts(for file: JobsFile, describedBy descriptions: JobDescriptions) -> [String: String] {
        var result: [String: String] = [:]
        for environment in file.environments {
            let jobs = file.jobs.map {
                DeployedJob(
                    job: $0, environment: environment, file: file,
                    description: descriptions[environment.name]?[$0.name])
            }
            for (path, text) in texts(for: environment, of: file, jobs: jobs) {
                result["\(environment.name)/\(path)"] = text
            }
        }
        return result
    }

    private static func texts(
        for environment: EnvironmentDefinition, of file: JobsFile, jobs: [DeployedJob]
    ) -> [String: String] {
        let deployment = Deployment(file: file, environment: environment, jobs: jobs)
        var result = [
            "deployment.json": deployment.index.json, "iam.json": deployment.access.json,
            "commands.sh": Commands(deployment: deployment).text,
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

    /// The text of `jobs.schema.json`.
    package static var schema: String { JobsSchema.document.json }

    // MARK: Tables in documents

    /// A document with its tables as they must be now: what is between `<!-- generated: jobs -->` and `<!-- /generated -->`.
    package static func document(_ text: String, named name: String, for file: JobsFile) throws(Problems) -> String {
        var lines: [Substring] = []
        var opened: Int?
        var problems: [Problem] = []
        func note(_ line: Int, _ message: String) { problems.append(Problem(file: name, line: line, message: message)) }
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let isEnd = line == "<!-- /generated -->"
            if isEnd, opened == nil { note(index + 1, "nothing generated begins before this end") }
            if isEnd { opened = nil }
            if opened == nil { lines.append(line) }
            guard let table = line.firstMatch(of: /^<!-- generated: (.*) -->$/)?.output.1 else { continue }
            guard opened == nil, let rows = tables(for: file)[String(table)] else {
                note(index + 1, "no table \(table) can begin here")
                continue
            }
            opened = index + 1
            lines += rows.map { "| " + $0.joined(separator: " | ") + " |" }.map { Substring($0) }
        }
        if let opened { note(opened, "the generated table has no end, <!-- /generated -->") }
        guard problems.isEmpty else { throw Problems(problems) }
        return lines.joined(separator: "\n")
    }

    private static func tables(for file: JobsFile) -> [String: [[String]]] {
        ["jobs": jobs(of: file), "roles": roles(of: file)]
    }

    private static func jobs(of file: JobsFile) -> [[String]] {
        [["Job", "Binary", "Purpose", "Schedule"], ["---", "---", "---", "---"]]
            + file.jobs.map { job in
                let schedule = job.schedule?.spoken(in: job.timeZone) ?? "by hand"
                return ["`\(job.name)`", "`\(job.executable)`", job.purpose, schedule]
            }
    }

    /// Jobs with the same roles and secrets share a row.
    private static func roles(of file: JobsFile) -> [[String]] {
        let datasets = file.datasets.map(\.name)
        var rows: [(jobs: [String], access: [String])] = []
        for job in file.jobs {
            let access =
                (["project"] + datasets).map { scope in
                    job.roles.filter { $0.scope == scope }.flatMap(\.roles).map { "`\($0.value)`" }.joined(
                        separator: ", ")
                } + [job.secrets.map { "`\($0.name)`" }.joined(separator: ", ")]
            if let index = rows.firstIndex(where: { $0.access == access }) {
                rows[index].jobs.append("`\(job.name)`")
            } else {
                rows.append((["`\(job.name)`"], access))
            }
        }
        let head = ["Jobs", "On the project"] + datasets.map { "On `\($0)`" } + ["Secrets"]
        return [head, head.map { _ in "---" }] + rows.map { [$0.jobs.joined(separator: ", ")] + $0.access }
    }
}
