import Logging
import Synchronization
import Testing

@testable import JobRuntime

@Suite struct ProgressTests {
    private let process = FakeProcess()

    private func report(width: Int? = nil, printsResults: Bool = true) -> (RunReport, Console, Logger) {
        let surroundings = process.surroundings()
        let console = Console(writeOutput: surroundings.writeOutput, writeError: surroundings.writeError)
        let logger = Logger(label: "trial") { _ in
            ConsoleLogHandler(
                level: .info, console: console, wallClock: surroundings.wallClock,
                layout: TextLayout(hasColors: false).line(for:))
        }
        let style = width.map { width in Progress.Style.bar { width } } ?? .log
        let progress = Progress(
            title: "trial", style: style, console: console, logger: logger, elapsed: surroundings.elapsed)
        let report = RunReport(console: console, logger: logger, progress: progress, printsResults: printsResults)
        return (report, console, logger)
    }

    @Test func theBarIsRedrawnAtMostTenTimesASecond() {
        let (report, _, _) = report(width: 80)
        report.begin("organizations", total: 1000)
        for index in 0..<1000 {
            process.pass(.milliseconds(2))
            report.advance("org-\(index)")
        }
        // One at the start and one every 100 ms of the two seconds.
        #expect(process.error.split(separator: "trial  [").count == 21)
        #expect(process.error.hasSuffix("\r\u{1B}[Ktrial  [############] 1000/1000  2 s  org-999"))
    }

    @Test func everyLineFirstRemovesTheBar() {
        let (report, console, logger) = report(width: 80)
        let bar = "trial  [............] 0/4  0 s"
        report.begin("organizations", total: 4)
        logger.info("reads")
        report.line("result")
        _ = console.close(with: "{}")
        logger.info("too late")
        report.line("too late")

        let erase = "\r\u{1B}[K"
        #expect(process.error == "\(bar)\(erase)00:05:00 INFO    reads\n\(bar)\(erase)\(bar)\(erase)")
        #expect(process.output == "result\n{}\n")
    }

    @Test func withoutATerminalALineEveryTenSeconds() {
        let (report, _, _) = report()
        report.begin("organizations", total: 100)
        for _ in 0..<100 {
            process.pass(.milliseconds(250))
            report.advance("acme")
        }
        #expect(
            process.errorLines.map { $0.dropFirst(17) } == ["40 of 100 organizations", "80 of 100 organizations"])
    }

    @Test(arguments: [
        (80, "trial  [######......] 42/84  3 s  acme"), (40, "trial  [######......] 42/84  3 s  acme"),
        (39, "42/84"), (4, "42/"), (1, ""), (0, ""),
    ])
    func theBarFitsTheTerminal(width: Int, line: String) {
        let bar = ProgressBar(title: "trial", done: 42, total: 84, elapsed: .milliseconds(3900), subject: "acme")
        #expect(bar.line(width: width) == line)
    }

    @Test(arguments: 40...60)
    func aLongSubjectIsCut(width: Int) {
        let bar = ProgressBar(
            title: "trial", done: 9, total: 3, elapsed: .zero, subject: "\u{1B}[2J" + String(repeating: "x", count: 200)
        )
        #expect(bar.line(width: width).count == width - 1)
        #expect(!bar.line(width: width).contains("\u{1B}"))
        #expect(
            ProgressBar(title: "t", done: 0, total: 0, elapsed: .zero, subject: "").line(width: width).contains("0/0"))
    }

    @Test func withJSONNoResultIsPrinted() {
        let (report, _, _) = report(printsResults: false)
        report.line("result")
        report.table(header: ["a"], rows: [["b"]])
        #expect(process.output.isEmpty)
    }

    @Test func countsFromManyTasksAddUp() async {
        let (report, _, _) = report()
        report.declare(counts: "organizations", "failures_seen")
        await withTaskGroup { group in
            for _ in 0..<100 { group.addTask { report.add(2, to: "organizations") } }
        }
        #expect(report.count(of: "organizations") == 200)
        #expect(report.record.withLock { $0.counts.map(\.name) } == ["organizations", "failures_seen"])
    }
}
