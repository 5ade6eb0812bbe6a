/// One job of `jobs.yaml`, with the defaults filled in.
package struct JobDefinition: Sendable {
    package static let keys =
        ["name", "executable", "purpose", "schedule"] + defaultKeys + ["secrets", "arguments", "roles"]
    /// What `defaults` may hold.
    package static let defaultKeys = [
        "time_zone", "timeout", "retries", "cpu", "memory", "tasks", "parallelism", "exclusive", "environment",
    ]

    package var name: String
    package var line: Int
    package var executable: Located<String>
    package var purpose: String
    /// `nil` for a job that only people start.
    package var schedule: Cron?
    package var timeZone: String
    package var timeoutSeconds: Int
    package var retries: Int
    package var size: TaskSize
    package var tasks: Int
    /// 0 is as many at once as Cloud Run allows.
    package var parallelism: Int
    /// Whether a second execution that starts while one runs skips its work.
    package var isExclusive: Bool
    package var environment: [(name: String, text: Located<String>)]
    /// Variables and the names of the secrets that they hold.
    package var secrets: [(name: String, text: Located<String>)]
    package var arguments: [Located<String>]
    /// Roles on the project (`project`) and on datasets (their names).
    package var roles: [RoleGrant]

    /// The run stops by itself at a safe point before Cloud Run ends it: a tenth of the timeout earlier, at most a minute.
    package var deadlineSeconds: Int { timeoutSeconds - min(60, max(6, timeoutSeconds / 10)) }

    /// A lease outlives every attempt that may hold it.
    package var leaseSeconds: Int? { isExclusive ? timeoutSeconds + 60 : nil }
}

/// Roles that a job's account has on one thing.
package struct RoleGrant: Sendable {
    /// `project`, or a dataset of `datasets`.
    package var scope: String
    package var line: Int
    package var roles: [Located<String>]
}
