import Testing

@testable import JobRuntime

@Suite(.timeLimit(.minutes(30))) struct CommandLineTests {
    private let process = FakeProcess()

    @Test(arguments: [
        (["--frobnicate"], "--frobnicate"), (["extra"], "extra"), (["--date"], "--date"),
        (["--act", "dance"], "dance"),
        (["--date", "2026-02-30"], "--date \"2026-02-30\" is not a day"),
        (["--date", "today"], "write it as 2026-01-31"),
        (["--date", ""], "--date \"\" is not a day"),
        (["--now", "2026-01-31"], "--now \"2026-01-31\" is not an instant"),
        (["--date", "2026-01-31", "--now", "2026-01-31T00:00:00Z"], "exclude each other"),
        (["--log-level", "loud"], "loud"),
        (["--date", "x\u{1B}[31m\n"], "\"x\\u{1B}[31m\\n\""), (["--\u{1B}[31m"], "--\\u{1B}[31m"),
    ])
    func wrongArgumentsEndWith64AndAReason(arguments: [String], reason: String) async {
        let status = await process.run(TrialJob.self, arguments)

        #expect(status == .usage)
        #expect(process.output.isEmpty)
        #expect(process.errorLines.first?.hasPrefix("Error: ") == true)
        #expect(process.error.contains(reason))
        #expect(!process.error.contains("\u{1B}"))
        #expect(!process.isListening)
    }

    @Test func argumentsAreReadBeforeTheEnvironment() async {
        #expect(await process.run(TrialJob.self, ["--nope"], environment: ["TRIAL_LIMIT": "x"]) == .usage)
        #expect(!process.error.contains("TRIAL_LIMIT"))
    }

    @Test func versionNamesTheJob() async {
        #expect(await process.run(TrialJob.self, ["--version"]) == .success)
        #expect(process.output == "trial \(serviceVersion)\n")
        #expect(process.error.isEmpty)
    }

    @Test func helpTeachesFlagsVariablesAndExitCodes() async {
        #expect(await process.run(TrialJob.self, ["--help"], environment: ["TRIAL_LIMIT": "x"]) == .success)
        let lines = [
            "OVERVIEW: Tries the runtime.", "  trial --act succeed", "ENVIRONMENT OF THIS JOB:", "TRIAL_PROJECT",
            "LOG_FORMAT", "DEADLINE_SECONDS", "CLOUD_RUN_JOB", "EXIT CODES:", "  64  Wrong command line.", "--act",
            "--dry-run",
            "--json", "--date <YYYY-MM-DD>", "--now <RFC3339>", "--log-level", "--version",
        ]
        for line in lines { #expect(process.output.contains(line), "\(line)") }
    }

    @Test func theFlagForTheLevelWinsOverTheVariable() async {
        let environment = ["LOG_LEVEL": "error"]
        _ = await process.run(TrialJob.self, ["--act", "skip"], environment: environment)
        #expect(process.error.isEmpty)

        let verbose = FakeProcess()
        _ = await verbose.run(TrialJob.self, ["--act", "skip", "--log-level", "notice"], environment: environment)
        #expect(verbose.error.contains("skipped: another execution holds the lease"))
    }
}
