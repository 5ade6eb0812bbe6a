/// `commands.sh`: the plain commands that would create everything of an environment, for people who want to read them or run them
/// by hand. The scripts deploy without them.
struct Commands {
    let deployment: Deployment

    private var environment: EnvironmentDefinition { deployment.environment }
    private var project: String { environment.project }

    var text: String {
        let sections: [(title: String, lines: [String])] = [
            (
                "Services",
                [gcloud("services", "enable", Deployment.serviceNames.joined(separator: " "), quoting: false)]
            ),
            ("Secrets: these must exist, each with a version", secrets),
            ("Accounts", accounts), ("Custom roles", customRoles), ("Datasets", datasets),
            ("Roles on the project", projectRoles), ("Roles on datasets", datasetRoles),
            ("Access to secrets", secretRoles),
            ("Jobs", jobs), ("Permission to start each job", starters),
            ("Roles on tables, which the job that creates them has to create first", tableRoles),
            ("Triggers", triggers),
            ("Log-based metrics", metrics), ("Alerts", alerts), ("Dashboard", [dashboard]),
        ]
        let parts = sections.filter { !$0.lines.isEmpty }.map { "# \($0.title)\n\($0.lines.joined(separator: "\n"))\n" }
        return header + "\n" + parts.joined(separator: "\n")
    }

    private var header: String {
        """
        #!/usr/bin/env bash
        # Written by generate-jobs from jobs.yaml: edit that instead.
        #
        # The plain commands that would create the environment \(environment.name) in an empty project. To deploy, use
        # scripts/create-all-jobs.sh \(environment.name): it compares first, changes what differs, and can be repeated. These cannot.
        # They name images by tag; the script deploys the digest of the tag.
        # GRANT quotes names with backticks.
        # shellcheck disable=SC2016
        set -euo pipefail
        cd "$(dirname "${BASH_SOURCE[0]}")"

        """
    }

    // MARK: Sections

    private var secrets: [String] {
        deployment.secretUsers.keys.sorted().map {
            "# " + gcloud("secrets", "create", $0, "--replication-policy=automatic", "--data-file=-")
        }
    }

    private var accounts: [String] {
        deployment.accounts.map { account in
            gcloud(
                "iam", "service-accounts", "create", account["id"].text,
                "--display-name=\(account["resource"]["displayName"].text)",
                "--description=\(account["resource"]["description"].text)")
        }
    }

    private var customRoles: [String] {
        deployment.file.customRoles.map(deployment.customRole).map { role in
            let resource = role["resource"]
            return gcloud(
                "iam", "roles", "create", role["id"].text, "--title=\(resource["title"].text)",
                "--description=\(resource["description"].text)",
                "--permissions=\(resource["includedPermissions"].items.map(\.text).joined(separator: ","))",
                "--stage=GA")
        }
    }

    private var datasets: [String] {
        deployment.file.datasets.map(deployment.dataset).map { dataset in
            let labels = dataset["labels"].members.map { "--label=\($0.key):\($0.value.text)" }
            return line(
                [
                    "bq", "--location=\(dataset["location"].text)", "mk", "--dataset",
                    "--description=\(dataset["description"].text)",
                ]
                    + labels + ["\(project):\(dataset["datasetReference"]["datasetId"].text)"])
        }
    }

    private var projectRoles: [String] {
        pairs(deployment.grants("project")).map { role, member in
            gcloud(
                "projects", "add-iam-policy-binding", project, "--member=\(member)", "--role=\(role)",
                "--condition=None")
        }
    }

    private var datasetRoles: [String] {
        deployment.file.datasets.flatMap { grant("SCHEMA", [$0.name]) }
    }

    private var tableRoles: [String] {
        let creator = deployment.jobs.first { $0.job.name == "bootstrap" && !deployment.tables.isEmpty }.map {
            gcloud("run", "jobs", "execute", $0.name, "--region=\(environment.region)", "--wait")
        }
        return [creator].compactMap(\.self)
            + deployment.tables.flatMap { grant("TABLE", $0.split(separator: ".").map(String.init)) }
    }

    private func grant(_ kind: String, _ place: [String]) -> [String] {
        deployment.grants(place.joined(separator: ".")).sorted { $0.key < $1.key }.map { role, members in
            let names = Set(members).sorted().map { "\"\($0)\"" }.joined(separator: ", ")
            let path = ([project] + place).map { "`\($0)`" }.joined(separator: ".")
            return line([
                "bq", "query", "--project_id=\(project)", "--location=\(environment.bigQueryLocation)",
                "--use_legacy_sql=false", "GRANT `\(role)` ON \(kind) \(path) TO \(names)",
            ])
        }
    }

    private var secretRoles: [String] {
        deployment.secretUsers.sorted { $0.key < $1.key }.flatMap { secret, members in
            Set(members).sorted().map {
                gcloud(
                    "secrets", "add-iam-policy-binding", secret, "--member=\($0)",
                    "--role=roles/secretmanager.secretAccessor")
            }
        }
    }

    private var jobs: [String] {
        deployment.jobs.map {
            gcloud("run", "jobs", "replace", "jobs/\($0.name).yaml", "--region=\(environment.region)")
        }
    }

    private var starters: [String] {
        let member = "serviceAccount:\(environment.accountEmail(environment.triggerAccount))"
        return deployment.jobs.filter { $0.triggerName != nil }.map {
            gcloud(
                "run", "jobs", "add-iam-policy-binding", $0.name, "--region=\(environment.region)",
                "--member=\(member)",
                "--role=roles/run.invoker")
        }
    }

    private var triggers: [String] {
        deployment.jobs.flatMap { job -> [String] in
            guard let trigger = job.trigger, let name = job.triggerName else { return [] }
            let (target, retries) = (trigger["httpTarget"], trigger["retryConfig"])
            let place = "--location=\(environment.region)"
            let create = gcloud(
                "scheduler", "jobs", "create", "http", name, place, "--description=\(trigger["description"].text)",
                "--schedule=\(trigger["schedule"].text)", "--time-zone=\(trigger["timeZone"].text)",
                "--uri=\(target["uri"].text)", "--http-method=\(target["httpMethod"].text)",
                "--oauth-service-account-email=\(target["oauthToken"]["serviceAccountEmail"].text)",
                "--oauth-token-scope=\(target["oauthToken"]["scope"].text)",
                "--attempt-deadline=\(trigger["attemptDeadline"].text)",
                "--max-retry-attempts=\(retries["retryCount"].text)",
                "--max-retry-duration=\(retries["maxRetryDuration"].text)",
                "--min-backoff=\(retries["minBackoffDuration"].text)",
                "--max-backoff=\(retries["maxBackoffDuration"].text)",
                "--max-doublings=\(retries["maxDoublings"].text)")
            return [create] + (job.isPaused ? [gcloud("scheduler", "jobs", "pause", name, place)] : [])
        }
    }

    private var alerts: [String] {
        let labels = environment.mark.map { "\($0.key)=\($0.value.text)" }.joined(separator: ",")
        let channels = environment.alertEmails.enumerated().map { index, email in
            let create = gcloud(
                "beta", "monitoring", "channels", "create", "--type=email",
                "--display-name=Scheduler jobs (\(environment.name)): \(email)",
                "--channel-labels=email_address=\(email)", "--user-labels=\(labels)", "--format=value(name)")
            return "channel\(index)=\"$(\(create))\""
        }
        let known = environment.alertChannels.enumerated().map { index, channel in
            let isResource = channel.value.hasPrefix("projects/")
            let text = channel.value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            let list = gcloud(
                "beta", "monitoring", "channels", "list", "--filter=displayName=\"\(text)\"",
                "--format=value(name)")
            let name = isResource ? Self.quoted(channel.value) : "\"$(\(list))\""
            return "channel\(environment.alertEmails.count + index)=\(name)"
        }
        let names = (channels + known).indices.map { "$channel\($0)" }.joined(separator: ",")
        let notify = names.isEmpty ? "" : " --notification-channels=\"\(names)\""
        let policies = AlertPolicies(jobs: deployment.jobs, environment: environment).documents.map { name, _ in
            gcloud("alpha", "monitoring", "policies", "create", "--policy-from-file=alerts/\(name).json") + notify
        }
        return channels + known + policies
    }

    private var metrics: [String] {
        LogMetrics(jobs: deployment.jobs, environment: environment).documents.map { name, _ in
            gcloud("logging", "metrics", "create", name, "--config-from-file=metrics/\(name).json")
        }
    }

    private var dashboard: String {
        gcloud("monitoring", "dashboards", "create", "--config-from-file=dashboard.json")
    }

    // MARK: Shell

    private func pairs(_ grants: [String: [String]]) -> [(role: String, member: String)] {
        grants.sorted { $0.key < $1.key }.flatMap { role, members in Set(members).sorted().map { (role, $0) } }
    }

    private func gcloud(_ words: String..., quoting: Bool = true) -> String {
        quoting
            ? line(["gcloud"] + words + ["--project=\(project)"])
            : "gcloud \(words.joined(separator: " ")) --project=\(project)"
    }

    private func line(_ words: [String]) -> String { words.map(Self.quoted).joined(separator: " ") }

    /// A word of a shell's command. Of an option only the value is quoted.
    static func quoted(_ word: String) -> String {
        if let option = word.prefixMatch(of: /--[a-z-]+=/)?.output {
            return option + quoted(String(word.dropFirst(option.count)))
        }
        let plain = word.wholeMatch(of: /[A-Za-z0-9_.\/:=@,+-]+/) != nil
        return plain ? word : "'\(word.replacing("'", with: "'\\''"))'"
    }
}

extension Document {
    fileprivate var members: [Member] { if case .object(let members) = self { members } else { [] } }

    fileprivate var items: [Document] { if case .array(let items) = self { items } else { [] } }

    /// A text, or a number as a text.
    fileprivate var text: String {
        switch self {
        case .string(let text): text
        case .integer(let number): String(number)
        default: ""
        }
    }

    fileprivate subscript(key: String) -> Document { members.first { $0.key == key }?.value ?? .null }
}
