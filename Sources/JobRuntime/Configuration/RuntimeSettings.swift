/// What the runtime itself reads from the environment, the same for every job.
struct RuntimeSettings: JobSettings {
    enum LogFormat: String {
        case auto, json, text
    }

    let logFormat: LogFormat
    let logLevel: LogLevel
    let deadline: Duration?
    let allowsColours: Bool
    let isDumbTerminal: Bool
    let task: CloudRunTask
    let certificateAuthorityFile: String?

    static let environmentHelp: [(name: String, text: String)] = [
        ("LOG_FORMAT", "auto (default), json (Cloud Logging) or text. auto is text on a terminal outside Cloud Run."),
        ("LOG_LEVEL", "trace, debug, info (default), notice, warning or error; --log-level wins."),
        ("DEADLINE_SECONDS", "Stop at the next safe point after that long. Default: no deadline."),
        ("NO_COLOR", "Set to anything for no colours on a terminal."),
        ("SSL_CERT_FILE", "Certificate authorities to trust instead of the system's: a PEM file."),
        (
            "http_proxy, https_proxy, NO_PROXY",
            "As for curl. This machine and the metadata server are never asked through a proxy."
        ),
        ("CLOUD_RUN_*", "Set by Cloud Run: job, execution, task index, count and attempt."),
    ]

    init(reading environment: inout EnvironmentReader) {
        let format = environment.choice("LOG_FORMAT", of: ["auto", "json", "text"], default: "auto")
        logFormat = LogFormat(rawValue: format) ?? .auto
        let levels = LogLevel.allCases.map(\.rawValue)
        logLevel = LogLevel(rawValue: environment.choice("LOG_LEVEL", of: levels, default: "info")) ?? .info
        deadline = environment.optionalInteger("DEADLINE_SECONDS", in: 1...604_800).map { .seconds($0) }
        allowsColours = !environment.isSet("NO_COLOR")
        isDumbTerminal = environment.text(of: "TERM") == "dumb"
        task = CloudRunTask(reading: &environment)
        certificateAuthorityFile = environment.optionalString(
            "SSL_CERT_FILE", expected: "the path of a PEM file", check: problemOfFile)
    }

    /// Whether logs are for people. `--json` asks for JSON whatever the environment says.
    func logsText(onTerminal isTerminal: Bool, json: Bool) -> Bool {
        switch logFormat {
        case _ where json: false
        case .json: false
        case .text: true
        case .auto: isTerminal && task.job == nil
        }
    }
}
