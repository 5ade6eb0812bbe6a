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
            "dashboard.json": Dashboard(environment: environment).document.json,
        ]
        for job in jobs {
            result["jobs/\(job.name).yaml"] = header + job.resource.yaml
            if let trigger = job.trigger, let name = job.triggerName { result["triggers/\(name).json"] = trigger.json }
        }
        for (name, document) in AlertPolicies(jobs: jobs, environment: environment).documents {
            result["alerts/\(name).json"] = document.json
        }
        for (name, document) in LogMetrics(jobs: jobs, environment: environment).documents {
            result["metrics/\(name).json"] = document.json
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
        ["jobs": jobs(of: file), "roles": roles(of: file), "access": access(of: file)]
    }

    private static func jobs(of file: JobsFile) -> [[String]] {
        [["Job", "Binary", "Purpose", "Schedule"], ["---", "---", "---", "---"]]
            + file.jobs.map { job in
                let schedule = job.schedule?.spoken(in: job.timeZone) ?? "by hand"
                return ["`\(job.name)`", "`\(job.executable)`", job.purpose, schedule]
            }
    }

    private static func secret(_ variable: Variable) -> String {
        "`\(variable.name)`" + (SecretReference.uses[variable.name].map { " (where `\($0)` is set)" } ?? "")
    }

    /// Jobs with the same roles and secrets share a row.
    private static func roles(of file: JobsFile) -> [[String]] {
        var rows: [(jobs: [String], access: [String])] = []
        for job in file.jobs {
            let grants = file.grants(of: job)
            let access = [
                grants.filter { $0.on == "project" }.map { "`\($0.role)`" }.joined(separator: ", "),
                spoken(grants.filter { $0.on != "project" && !$0.on.contains(".") }),
                spoken(grants.filter { $0.on.contains(".") }),
                job.secrets.map(secret).joined(separator: ", "),
            ]
            if let index = rows.firstIndex(where: { $0.access == access }) {
                rows[index].jobs.append("`\(job.name)`")
            } else {
                rows.append((["`\(job.name)`"], access))
            }
        }
        let head = ["Jobs", "On the project", "On datasets", "On tables", "Secrets"]
        return [head, head.map { _ in "---" }] + rows.map { [$0.jobs.joined(separator: ", ")] + $0.access }
    }

    private static func access(of file: JobsFile) -> [[String]] {
        [["Job", "Uses"], ["---", "---"]]
            + file.jobs.map { job in
                let uses = (file.access?.uses[job.name] ?? []).map { use in
                    use.on == "project" ? use.does : "`\(use.on)`: \(use.does)"
                }
                return ["`\(job.name)`", uses.joined(separator: "<br>")]
            }
    }

    /// `row_reader`: `a`, `b`; `row_writer`: `c`
    private static func spoken(_ grants: [AccessGrant]) -> String {
        Dictionary(grouping: grants, by: \.role).sorted { $0.key < $1.key }.map { role, grants in
            "`\(role)`: " + grants.map { "`\($0.on)`" }.joined(separator: ", ")
        }.joined(separator: "; ")
    }
}
