import Logging
import Testing

@testable import JobRuntime

@Suite struct LayoutTests {
    private static let task = CloudRunTask(
        job: "cloudact-trial", execution: "cloudact-trial-x7k2p", index: 3, count: 4, attempt: 1)
    private let cloud = CloudLoggingLayout(job: "trial", task: task)

    private func entry(
        _ message: String, _ metadata: [(key: String, value: Logger.MetadataValue)] = [], level: Logger.Level = .info
    ) -> LogEntry {
        LogEntry(time: FakeProcess.start, level: level, message: message, metadata: metadata)
    }

    @Test func cloudLoggingFindsItsMembers() throws {
        let line = try ParsedJSON(cloud.line(for: entry("hello", [("dataset", "acme_prod")], level: .notice)))

        #expect(
            line
                == .object([
                    "severity": "NOTICE", "message": "hello", "time": "2026-01-31T00:05:00.000000Z",
                    "dataset": "acme_prod",
                    "logging.googleapis.com/labels": .object([
                        "job": "trial", "execution": "cloudact-trial-x7k2p", "task_index": "3", "attempt": "1",
                    ]),
                    "logging.googleapis.com/operation": .object(["id": "cloudact-trial-x7k2p", "producer": "trial"]),
                ]))
    }

    @Test func withoutAnExecutionThereIsNoOperation() throws {
        let layout = CloudLoggingLayout(job: "trial", task: CloudRunTask())
        let line = try ParsedJSON(layout.line(for: entry("hello")))
        #expect(line["logging.googleapis.com/operation"] == nil)
        #expect(line["logging.googleapis.com/labels"]?["execution"] == nil)
    }

    @Test(arguments: [
        (Logger.Level.trace, "DEBUG"), (.debug, "DEBUG"), (.info, "INFO"), (.notice, "NOTICE"), (.warning, "WARNING"),
        (.error, "ERROR"), (.critical, "CRITICAL"),
    ])
    func everyLevelHasASeverity(level: Logger.Level, severity: String) throws {
        #expect(try ParsedJSON(cloud.line(for: entry("x", level: level)))["severity"] == .string(severity))
    }

    static let hostile = [
        "", "\"},{\"severity\":\"EMERGENCY\"", "\\", "\\\"", "line\nbreak\r\n", "\u{0}\u{1}\u{8}\u{B}\u{1F}\u{7F}",
        "\u{2028}\u{2029}\u{FEFF}\u{FFFF}", "e\u{301}👩‍👩‍👧‍👦", "</script>", "%s%n", String(repeating: "\"", count: 5000),
    ]

    @Test(arguments: hostile)
    func hostileTextsStayOneLineAndComeBackAsTheyWere(text: String) throws {
        let rendered = cloud.line(
            for: entry(text, [("a", .string(text)), (text, "key"), ("list", .array([.string(text)]))]))
        #expect(!rendered.unicodeScalars.contains { $0.value < 0x20 })
        let line = try ParsedJSON(rendered)
        #expect(line["message"]?.text.map { Array($0.unicodeScalars) } == Array(text.unicodeScalars))
        #expect(line["a"] == .string(text))
        #expect(line["list"] == .array([.string(text)]))
        #expect(line[text] == "key")
        #expect(line["severity"] == "INFO")
    }

    @Test func metadataNeverReplacesAReservedMember() throws {
        let rendered = cloud.line(
            for: entry(
                "real",
                [
                    ("_message", "second"), ("httpRequest", "x"), ("logging.googleapis.com/labels", "z"),
                    ("message", "fake"),
                    ("severity", "EMERGENCY"), ("time", "never"),
                ]))
        let line = try ParsedJSON(rendered)

        #expect(line["message"] == "real")
        #expect(line["severity"] == "INFO")
        #expect(line["_message"] == "second")
        #expect(line["__message"] == "fake")
        #expect(line["_httpRequest"] == "x")
        #expect(line["httpRequest"] == nil)
        #expect(line["_logging.googleapis.com/labels"] == "z")
        #expect(rendered.split(separator: "\"message\":").count == 2)
    }

    @Test func metadataKeepsNumbersAndStructure() throws {
        let metadata: [(key: String, value: Logger.MetadataValue)] = [
            ("count", .stringConvertible(42)), ("done", .stringConvertible(true)),
            ("nested", .dictionary(["b": "2", "a": .stringConvertible(Duration.seconds(1))])),
        ]
        let line = try ParsedJSON(cloud.line(for: entry("x", metadata)))
        #expect(line["count"] == 42)
        #expect(line["done"] == .bool(true))
        #expect(line["nested"]?["b"] == "2")
        #expect(line["nested"]?["a"]?.text == Duration.seconds(1).description)
    }

    @Test func textIsForPeople() {
        let fields: [(key: String, value: Logger.MetadataValue)] = [
            ("n", "1"), ("path", "a b"), ("q", "x\"y"), ("z", ""),
        ]
        let plain = TextLayout(hasColors: false)
        #expect(
            plain.line(for: entry("went well", fields)) == #"00:05:00 INFO    went well n=1 path="a b" q="x\"y" z="""#)
        #expect(
            TextLayout(hasColors: true).line(for: entry("odd", level: .warning))
                == "00:05:00 \u{1B}[33mWARNING\u{1B}[0m odd")
        #expect(plain.line(for: entry("odd", level: .warning)) == "00:05:00 WARNING odd")
    }

    @Test(arguments: ["\u{1B}[2J", "a\nERROR fake", "\r", "\u{9B}31m"])
    func textEscapesControlCharacters(text: String) {
        let line = TextLayout(hasColors: false).line(for: entry(text, [("key", .string(text))]))
        #expect(!line.unicodeScalars.contains { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) })
    }
}
