/// The settings of the runtime, which every job has.
struct RuntimeSettings: Sendable {
    enum LogFormat: String, CaseIterable {
        case auto, json, text
    }

    let logFormat: LogFormat
    let logLevel: LogLevel
    let deadline: Duration?
    let allowsColors: Bool
    let isDumbTerminal: Bool
    let task: CloudRunTask
    let certificateAuthorityFile: String?
    /// The time after which the lease of an exclusive job expires if it is not released.
    let leaseValidity: Duration

    static let defaultLeaseSeconds = 3600

    /// - Parameter isExclusive: Whether the job holds a lease. Only then is there a variable LEASE_SECONDS.
    init(reading environment: inout EnvironmentReader, isExclusive: Bool) {
        environment.scope = .everyJob
        let format = environment.choice(
            "LOG_FORMAT", of: LogFormat.allCases.map(\.rawValue), default: "auto",
            help: "The form of the logs. json is Cloud Logging's; auto is text on a terminal outside Cloud Run.")
        logFormat = LogFormat(rawValue: format) ?? .auto
        let level = environment.choice(
            "LOG_LEVEL", of: LogLevel.allCases.map(\.rawValue), default: "info",
            help: "The job writes log messages of this level and above. --log-level overrides it.")
        logLevel = LogLevel(rawValue: level) ?? .info
        deadline = environment.optionalInteger(
            "DEADLINE_SECONDS", in: 1...604_800,
            help: "The run stops at the next safe point after so many seconds. Without it, there is no deadline."
        ).map { .seconds($0) }
        allowsColors = !environment.flag("NO_COLOR", help: "Any value turns colors off.")
        isDumbTerminal =
            environment.optionalString("TERM", expected: "the terminal's name", help: "No progress bar on dumb.")
            == "dumb"
        certificateAuthorityFile = environment.optionalString(
            "SSL_CERT_FILE", expected: "the path of a PEM file",
            help: "A PEM file with the certificate authorities to trust instead of the system's.", check: problemOfFile)
        for proxy in ["http_proxy", "https_proxy", "NO_PROXY"] {
            environment.declare(
                proxy, help: "As for curl. No proxy is used for this machine and the metadata server.")
        }
        task = CloudRunTask(reading: &environment)
        environment.scope = .job
        leaseValidity = .seconds(
            isExclusive
                ? environment.integer(
                    "LEASE_SECONDS", default: Self.defaultLeaseSeconds, in: 10...604_800,
                    help: "A killed run keeps other executions out for so long. It must be more than the task timeout.")
                : Self.defaultLeaseSeconds)
    }

    /// Whether logs are text for people. With `--json` they are JSON, whatever the environment says.
    func logsText(onTerminal isTerminal: Bool, json: Bool) -> Bool {
        switch logFormat {
        case _ where json: false
        case .json: false
        case .text: true
        case .auto: isTerminal && task.job == nil
        }
    }
}

/// The Cloud Run task that this process is (fact RUN-01). Outside of Cloud Run it is task 0 of 1.
package struct CloudRunTask: Sendable {
    package var job: String?
    package var execution: String?
    package var index: Int
    package var count: Int
    /// 0 on the first attempt.
    package var attempt: Int

    package init(job: String? = nil, execution: String? = nil, index: Int = 0, count: Int = 1, attempt: Int = 0) {
        self.job = job
        self.execution = execution
        self.index = index
        self.count = count
        self.attempt = attempt
    }

    init(reading environment: inout EnvironmentReader) {
        let help = "Cloud Run sets it."
        job = environment.optionalString("CLOUD_RUN_JOB", expected: "what Cloud Run sets it to", help: help)
        execution = environment.optionalString("CLOUD_RUN_EXECUTION", expected: "what Cloud Run sets it to", help: help)
        index = environment.integer("CLOUD_RUN_TASK_INDEX", default: 0, in: 0...9_999, help: help)
        count = environment.integer("CLOUD_RUN_TASK_COUNT", default: 1, in: 1...10_000, help: help)
        attempt = environment.integer("CLOUD_RUN_TASK_ATTEMPT", default: 0, in: 0...1_000, help: help)
        let names = ["CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT"]
        guard index >= count, !environment.hasProblem(with: names) else { return }
        environment.note(
            problem:
                "CLOUD_RUN_TASK_INDEX=\(index) does not fit CLOUD_RUN_TASK_COUNT=\(count): tasks are numbered from 0",
            with: names)
    }

    /// Whether the item with this key belongs to this task. Over all tasks of an execution, every key belongs to
    /// exactly one, whatever the order or number of the other keys.
    package func isMine(_ key: String) -> Bool {
        Self.stableHash(key) % UInt64(count) == UInt64(index)
    }

    /// The same number in every process, unlike Swift's own hash: FNV-1a, 64 bits.
    package static func stableHash(_ key: String) -> UInt64 {
        key.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
