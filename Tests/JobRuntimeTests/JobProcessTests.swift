import Testing

@testable import JobRuntime

@Suite(.timeLimit(.minutes(30))) struct JobProcessTests {
    private let process = FakeProcess()

    private func summary() throws -> ParsedJSON { try ParsedJSON(process.outputLines.last ?? "") }

    @Test func successEndsWithZeroAndTheSummaryAsLastLine() async throws {
        let status = await process.run(TrialJob.self, environment: ["LOG_FORMAT": "text"])

        #expect(status == .success)
        #expect(process.exits == [.success])
        #expect(
            process.outputLines.dropLast() == [
                "as of 2026-01-31T00:05:00.000000Z", "slug  n", "acme  7", "trial succeeded in 0 ms: 2 organizations",
            ])
        #expect(try summary()["status"] == "succeeded")
        #expect(try summary()["message"] == "trial succeeded in 0 ms: 2 organizations")
        #expect(try summary()["details"] == nil)
    }

    @Test func resultsAreLogMessagesWhereLogsAreJSON() async throws {
        _ = await process.run(TrialJob.self)

        #expect(process.outputLines.count == 1)
        let messages = try process.errorLines.map { try ParsedJSON($0)["message"] }
        #expect(messages.contains("as of 2026-01-31T00:05:00.000000Z"))
        #expect(messages.contains("acme: 7"))
    }

    @Test func oneFailedItemEndsWithOne() async throws {
        let status = await process.run(TrialJob.self, ["--act", "failOne"])

        #expect(status == .failure)
        #expect(try summary()["status"] == "failed")
        #expect(try summary()["severity"] == "ERROR")
        #expect(
            try summary()["failures"] == .array([.object(["subject": "acme", "reason": "dataset is gone"])]))
        #expect(try ParsedJSON(process.errorLines[0])["message"] == "acme: dataset is gone")
    }

    @Test func anErrorOfTheJobEndsWithOne() async throws {
        let status = await process.run(TrialJob.self, ["--act", "breakDown"])

        #expect(status == .failure)
        #expect(
            try summary()["failures"] == .array([.object(["subject": "trial", "reason": "the warehouse burnt down"])]))
    }

    @Test func cancellationThatNobodyAskedForIsAFailure() async throws {
        let status = await process.run(TrialJob.self, ["--act", "cancelItself"])

        #expect(status == .failure)
        #expect(try summary()["status"] == "failed")
    }

    @Test func nothingToDoEndsWithZero() async throws {
        let status = await process.run(TrialJob.self, ["--act", "skip"])

        #expect(status == .success)
        #expect(try summary()["status"] == "skipped")
        #expect(try summary()["reason"] == "another execution holds the lease")
    }

    @Test func aConfigurationErrorDuringTheRunEndsWith78AndNamesEverything() async throws {
        let status = await process.run(TrialJob.self, ["--act", "misconfigured"])

        #expect(status == .configuration)
        #expect(try summary()["status"] == "failed")
        let failures = process.output
        #expect(failures.contains("a.json is no JSON") && failures.contains("b.json is empty"))
    }

    @Test func aWrongEnvironmentIsOneMessageWithEverythingAndNoRun() async throws {
        let environment = [
            "TRIAL_PROJECT": "a;drop\u{1B}", "TRIAL_LIMIT": "10", "LOG_LEVEL": "loud", "DEADLINE_SECONDS": "0",
            "CLOUD_RUN_TASK_INDEX": "2", "CLOUD_RUN_TASK_COUNT": "2", "TRIAL_KEY": "hush\u{7}hush",
        ]

        let status = await process.run(TrialJob.self, environment: environment)

        #expect(status == .configuration)
        #expect(process.output.isEmpty)
        #expect(!process.isListening)
        #expect(process.errorLines.count == 1)
        let message = try #require(try ParsedJSON(process.errorLines[0])["message"]?.text)
        #expect(message.hasPrefix("trial cannot start: 6 problems"))
        for name in ["TRIAL_PROJECT", "TRIAL_LIMIT", "LOG_LEVEL", "DEADLINE_SECONDS", "TASK_INDEX=2", "TRIAL_KEY"] {
            #expect(message.contains(name))
        }
        #expect(!message.contains("hush"))
    }

    @Test func aWrongEnvironmentIsPlainTextForPeople() async {
        let status = await process.run(TrialJob.self, environment: ["TRIAL_LIMIT": "x"], isTerminal: true)

        #expect(status == .configuration)
        #expect(
            process.errorLines == [
                "trial cannot start: 1 problem in the environment",
                "  TRIAL_LIMIT is \"x\": set it to a whole number from 1 to 9",
            ])
    }

    @Test func onATerminalASentencePrecedesTheSummary() async throws {
        _ = await process.run(TrialJob.self, ["--act", "failOne"], isTerminal: true)

        #expect(process.outputLines.first == "trial failed after 0 ms, 1 failure (acme): 2 organizations")
        #expect(process.outputLines.count == 2)
        #expect(process.error.contains("00:05:00 \u{1B}[31mERROR  \u{1B}[0m acme: dataset is gone\n"))
    }

    @Test func withJSONStandardOutputIsTheSummaryAlone() async throws {
        _ = await process.run(TrialJob.self, ["--json"], environment: ["LOG_FORMAT": "text"], isTerminal: true)

        #expect(process.outputLines.count == 1)
        #expect(try summary()["details"] == .object(["plan": .array(["create"])]))
        for line in process.errorLines { _ = try ParsedJSON(line) }
    }

    @Test(arguments: [
        (["--date", "2026-03-01"], "2026-03-01T00:00:00.000000Z"),
        (["--now", "2026-03-01T12:00:00+02:00"], "2026-03-01T10:00:00.000000Z"),
    ])
    func theCommandLineSetsTheInstant(arguments: [String], instant: String) async throws {
        _ = await process.run(TrialJob.self, arguments + ["--dry-run"], environment: ["LOG_FORMAT": "text"])

        #expect(process.outputLines.first == "as of \(instant), dry")
        #expect(try summary()["now"] == .string(instant))
        #expect(try summary()["started_at"] == .string(FakeProcess.start.description))
        #expect(try summary()["dry_run"] == .bool(true))
    }
}
