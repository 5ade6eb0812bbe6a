/// The contents of `jobs.yaml`.
///
/// ```swift
/// let file = try JobsFileReader.read(yaml, manifest: manifest, access: AccessList(json))
/// let descriptions = try describe(file.processes)      // runs the built jobs with --describe
/// try file.check(against: descriptions)
/// let texts = GeneratedFiles.texts(for: file, describedBy: descriptions)
/// ```
package struct JobsFile: Sendable {
    static let keys = ["environments", "custom_roles", "datasets", "defaults", "jobs"]

    package var environments: [EnvironmentDefinition]
    var customRoles: [CustomRole]
    /// Datasets that roles are given on, with their descriptions.
    var datasets: [Variable]
    /// Variables of `defaults`, for every job that reads them.
    var variables: [Variable]
    package var jobs: [JobDefinition]
    /// `nil` leaves the jobs with the roles of `jobs.yaml` alone.
    var access: AccessList?

    /// Everything that is allowed and probably not meant.
    package var warnings: [Problem] { FileWarnings(file: self).all }

    /// The winner comes last: a variable of a job wins over the one of its environment, and that one over the one of `defaults`.
    func variables(of job: JobDefinition, in environment: EnvironmentDefinition) -> [Variable] {
        variables + environment.environment + job.environment
    }
}

/// One environment: where jobs are deployed, and under which names.
package struct EnvironmentDefinition: Sendable {
    static let fields = [
        Field("project", .name(.project), "Project id."),
        Field("region", .name(.region), "Region of jobs and triggers.", examples: ["us-central1"]),
        Field(
            "bigquery_location", .name(.bigQueryLocation), "Where datasets are.",
            examples: ["US", "EU", "europe-west1"]),
        Field("prefix", .name(.prefix), "Begins the names of jobs and triggers."),
        Field(
            "account_prefix", .name(.prefix), "Begins the ids of service accounts, which have at most 30 characters."),
        Field("images", .name(.images), "Repository of the images."),
        Field("image_tag", .name(.imageTag), "Tag of the images. A tag is never used twice, so latest is none."),
        Field("confirm", .flag, "Whether scripts that change something ask first."),
        Field("alert_emails", .list(of: .email), "Who alerts notify.", isRequired: false),
        Field(
            "alert_channels", .list(of: .channel),
            "Notification channels that exist already (Slack, PagerDuty, webhook and so on), by display name or resource name.",
            isRequired: false, examples: ["On-call (Slack)", "projects/my-project/notificationChannels/1234567890"]),
        Field(
            "paused", .list(),
            "Jobs whose triggers are paused here. Of two environments with the same data only one should run a job.",
            isRequired: false),
        Field(
            "environment", .variables, "Plain variables of every job that reads them, here.", isRequired: false),
    ]

    /// The names that the jobs themselves know.
    static let names = ["test", "stage", "prod"]

    package var name: String
    let values: FieldValues

    var line: Int { values.line }
    // An environment's own name collides with nothing.
    var project: String { values.text("project") ?? name }
    var region: String { values.text("region") ?? name }
    var bigQueryLocation: String { values.text("bigquery_location") ?? "US" }
    var prefix: String { values.text("prefix") ?? "\(name)-" }
    var accountPrefix: String { values.text("account_prefix") ?? "\(name)-" }
    var images: String { values.text("images") ?? name }
    var imageTag: String { values.text("image_tag") ?? "0" }
    var asksFirst: Bool { values.flag("confirm") ?? true }
    var alertEmails: [String] { values.list("alert_emails").map(\.value) }
    var alertChannels: [Located<String>] { values.list("alert_channels") }
    var paused: [Located<String>] { values.list("paused") }
    var environment: [Variable] { values.variables("environment") }

    func deployedName(_ job: String) -> String { prefix + job }

    func triggerName(_ job: String) -> String { deployedName(job) + "-trigger" }

    func accountID(_ job: String) -> String { accountPrefix + job }

    func accountEmail(_ job: String) -> String { "\(accountID(job))@\(project).iam.gserviceaccount.com" }

    /// The account that Cloud Scheduler starts jobs as.
    var triggerAccount: String { "trigger" }

    /// Role ids take no dashes.
    func customRoleID(_ name: String) -> String { String(prefix.map { $0 == "-" ? "_" : $0 }) + name }

    func customRole(_ name: String) -> String { "projects/\(project)/roles/\(customRoleID(name))" }

    /// `text` with `{environment}`, `{project}` and `{region}` filled in.
    func fill(_ text: String) -> String {
        Placeholder.allCases.reduce(text) { $0.replacing($1.text, with: value(of: $1)) }
    }

    private func value(of placeholder: Placeholder) -> String {
        switch placeholder {
        case .environment: name
        case .project: project
        case .region: region
        }
    }

    /// The words that a value may have in braces.
    enum Placeholder: String, CaseIterable {
        case environment, project, region

        var text: String { "{\(rawValue)}" }
    }
}

/// One job, with the defaults filled in.
package struct JobDefinition: Sendable {
    /// A new key of a job is one more line here.
    static let fields = [
        Field("name", .name(.jobName), "Short name; it is deployed with the environment's prefix."),
        Field("executable", .name(.executable), "The target of Package.swift.", examples: ["OrgSyncAllJob"]),
        Field("purpose", .text(longest: 400), "The purpose that the job's own code states: one sentence for people."),
        Field(
            "schedule", .schedule, "Five fields of cron, or manual.", examples: ["manual", "0 0 * * *", "*/15 * * * *"]),
        Field(
            "time_zone", .timeZone, "Time zone of the schedule, a name of the tz database.", mayBeDefault: true,
            examples: ["Etc/UTC", "Europe/Berlin"]),
        Field(
            "retries", .integer(0...10), "How often Cloud Run repeats a failed task.", mayBeDefault: true,
            place: .task("maxRetries")),
        // A week is the most that Cloud Run lets a task run.
        Field(
            "timeout", .seconds(60...604_800),
            "How long one attempt of a task may take, at most 168h. DEADLINE_SECONDS is set a little below it.",
            mayBeDefault: true, examples: ["10m", "2h"], place: .task("timeoutSeconds")),
        Field("cpu", .cpu, "CPUs of a task.", mayBeDefault: true, place: .limit("cpu")),
        Field("memory", .memory, "Memory of a task: \(TaskSize.rule).", mayBeDefault: true, place: .limit("memory")),
        Field(
            "tasks", .integer(1...10_000), "Tasks of an execution, which divide the work.", mayBeDefault: true,
            place: .execution("taskCount")),
        Field(
            "parallelism", .integer(0...10_000), "Tasks at once; 0 is as many as Cloud Run allows.", mayBeDefault: true,
            place: .execution("parallelism")),
        Field(
            "environment", .variables,
            "Plain variables. Secrets go into secrets. Variables of defaults reach every job that reads them.",
            isRequired: false, mayBeDefault: true),
        Field(
            "secrets", .variables,
            "Variables and the names of their secrets in Secret Manager. name:7 is version 7; without a version it is the latest.",
            isRequired: false),
        Field("arguments", .list(), "Arguments of the command line.", isRequired: false),
        Field("budget", .budget, Budget.help, isRequired: false),
        Field(
            "roles", .roles,
            "More roles of the job's account, on the project (project) and on datasets (their names). Access to BigQuery follows from deploy/access.json.",
            isRequired: false),
    ]

    package var name: String
    let values: FieldValues

    var line: Int { values.lineOf("name") }
    package var executable: String { values.text("executable") ?? "" }
    var purpose: String { values.text("purpose") ?? "" }
    /// `nil` for a job that only people start.
    var schedule: Cron? { values.schedule("schedule") }
    var timeZone: String { values.text("time_zone") ?? "Etc/UTC" }
    var timeoutSeconds: Int { values.integer("timeout") ?? 600 }
    var tasks: Int { values.integer("tasks") ?? 1 }
    /// 0 is as many at once as Cloud Run allows.
    var parallelism: Int { values.integer("parallelism") ?? 1 }
    var environment: [Variable] { values.variables("environment") }
    /// Variables and the names of the secrets that they hold.
    var secrets: [Variable] { values.variables("secrets") }
    var arguments: [Located<String>] { values.list("arguments") }
    /// Roles on the project (`project`) and on datasets (their names).
    var roles: [RoleGrant] { values.roles("roles") }
    var budget: Budget? { values.budget("budget") }

    /// The run stops by itself at a safe point before Cloud Run ends it: a tenth of the timeout earlier, at most a minute.
    var deadlineSeconds: Int { timeoutSeconds - min(60, max(6, timeoutSeconds / 10)) }

    /// The lease of an exclusive job outlives every attempt that may hold it, and every statement that a killed attempt left behind,
    /// also by a clock that is ahead.
    var leaseSeconds: Int { timeoutSeconds + LeaseTimes.grace + LeaseTimes.clockDifference }
}

/// What the lease of an exclusive job outlasts after the task's timeout, in seconds.
enum LeaseTimes {
    /// A statement that a killed task left behind may run for so long: `JobLease.grace`, to which a test compares it.
    static let grace = 120
    /// The clocks of two tasks differ by less.
    static let clockDifference = 60
}

/// A role of our own, where no predefined one is narrow enough.
struct CustomRole: Sendable {
    static let fields = [
        Field("title", .text(longest: 100, unit: .bytes), "At most 100 bytes of UTF-8."),
        Field("permissions", .list(of: .permission), "Permissions, such as bigquery.tables.get."),
    ]

    var name: String
    let values: FieldValues

    var line: Int { values.line }
    var title: String { values.text("title") ?? "" }
    var permissions: [String] { values.list("permissions").map(\.value) }
}

/// CPU and memory of a task, in the pairs that Cloud Run allows.
enum TaskSize {
    /// MiB by CPU. Source: Cloud Run, "Configure memory limits" and "Configure CPU limits" for jobs.
    static let memory: [Int: ClosedRange<Int>] = [
        1: 512...4096, 2: 512...8192, 4: 2048...16_384, 6: 4096...24_576, 8: 4096...32_768,
    ]

    /// `512Mi to 4Gi with cpu 1, ...`
    static var rule: String {
        memory.sorted { $0.key < $1.key }.map { cpu, range in
            "\(text(mebibytes: range.lowerBound)) to \(text(mebibytes: range.upperBound)) with cpu \(cpu)"
        }.joined(separator: ", ")
    }

    /// As Kubernetes writes it.
    static func text(mebibytes: Int) -> String {
        mebibytes % 1024 == 0 ? "\(mebibytes / 1024)Gi" : "\(mebibytes)Mi"
    }

    /// MiB of `512Mi` or `2Gi`.
    static func mebibytes(_ text: String) -> Int? {
        guard text.count > 2, let number = Int(text.dropLast(2)), (1...1_000_000).contains(number) else { return nil }
        switch text.suffix(2) {
        case "Mi": return number
        case "Gi": return number * 1024
        default: return nil
        }
    }
}
