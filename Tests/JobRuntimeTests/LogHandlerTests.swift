import Logging
import Testing

@testable import JobRuntime

@Suite struct LogHandlerTests {
    private struct Spill: Error, CustomStringConvertible {
        let description = "milk"
    }

    @Test func laterMetadataWinsAndErrorsAreShown() {
        let process = FakeProcess()
        let surroundings = process.surroundings()
        let console = Console(writeOutput: surroundings.writeOutput, writeError: surroundings.writeError)
        var logger = Logger(label: "trial") { _ in
            ConsoleLogHandler(
                level: .info, console: console, wallClock: surroundings.wallClock,
                layout: TextLayout(hasColors: false).line(for:))
        }
        logger[metadataKey: "dataset"] = "general"
        logger[metadataKey: "run"] = "1"

        logger.info("reads", metadata: ["dataset": "acme"])
        logger.debug("unseen")
        logger.error("spilled", error: Spill())

        #expect(
            process.errorLines == [
                "00:05:00 INFO    reads dataset=acme run=1",
                "00:05:00 ERROR   spilled dataset=general error=milk run=1",
            ])
    }

    @Test(arguments: [
        ([:], true, true), ([:], false, false), (["CLOUD_RUN_JOB": "x"], true, false),
        (["LOG_FORMAT": "text"], false, true),
        (["LOG_FORMAT": "json"], true, false), (["LOG_FORMAT": "text", "CLOUD_RUN_JOB": "x"], false, true),
    ])
    func autoIsTextOnATerminalOutsideCloudRun(environment: [String: String], isTerminal: Bool, isText: Bool) async {
        let process = FakeProcess()
        _ = await process.run(TrialJob.self, ["--act", "skip"], environment: environment, isTerminal: isTerminal)
        #expect(process.error.contains("NOTICE") && process.error.hasPrefix("{") == !isText)
    }

    @Test(arguments: [["NO_COLOR": "1"], ["TERM": "dumb"], ["LOG_FORMAT": "json"]])
    func colorsCanBeSwitchedOff(environment: [String: String]) async {
        let process = FakeProcess()
        _ = await process.run(TrialJob.self, ["--act", "skip"], environment: environment, isTerminal: true)
        #expect(process.error.contains("skipped") && !process.error.contains("\u{1B}"))
    }

    @Test func textWithoutATerminalHasNoColors() async {
        let process = FakeProcess()
        _ = await process.run(TrialJob.self, ["--act", "failOne"], environment: ["LOG_FORMAT": "text"])
        #expect(process.errorLines == ["00:05:00 ERROR   acme: dataset is gone"])
    }
}
