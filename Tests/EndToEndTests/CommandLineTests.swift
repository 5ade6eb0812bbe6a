import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(30))) struct CommandLineTests {
    @Test(arguments: JobExecutable.jobs)
    func helpNamesTheJobItsOptionsAndItsEnvironment(_ job: JobExecutable) async throws {
        let outcome = try await job.run(["--help"])

        #expect(outcome.ending == .exited(0))
        #expect(outcome.error.isEmpty)
        let words = [
            "USAGE: \(job.product) ", "--dry-run", "--json", "--date <YYYY-MM-DD>", "--now <RFC3339>", "--log-level",
            "--version", "ENVIRONMENT OF THIS JOB:", "GCP_PROJECT_ID", "WAREHOUSE_URL", "LOG_FORMAT",
            "DEADLINE_SECONDS", "EXIT CODES:", "78",
        ]
        for word in words { #expect(outcome.output.contains(word)) }
    }

    @Test(arguments: JobExecutable.jobs)
    func versionNamesTheJob(_ job: JobExecutable) async throws {
        let outcome = try await job.run(["--version"])

        #expect(outcome.ending == .exited(0))
        #expect(outcome.outputLines.count == 1)
        let words = outcome.output.split(whereSeparator: \.isWhitespace)
        #expect(words.first.map(String.init) == job.name)
        #expect(words.last?.split(separator: ".").count == 3)
    }

    /// bash itself reads the script and completes `JOB --`.
    @Test(arguments: JobExecutable.jobs)
    func theCompletionScriptOffersTheOptions(_ job: JobExecutable) async throws {
        let folder = try TemporaryFolder()
        let script = try await job.run(["--generate-completion-script", "bash"])
        try Data(script.output.utf8).write(to: URL(filePath: folder.file("completion")))
        let program = """
            source "$1" && COMP_WORDS=("$2" --) COMP_CWORD=1 COMP_LINE="$2 --" COMP_POINT=$((${#2} + 3))
            "$(complete -p "$2" | sed 's/.*-F \\([^ ]*\\).*/\\1/')" "$2" -- "$2"
            printf '%s\\n' "${COMPREPLY[@]}"
            """

        let shell = try await RunningJob(
            "/usr/bin/env", arguments: ["bash", "-c", program, "bash", folder.file("completion"), job.product],
            environment: ProcessInfo.processInfo.environment, folder: folder.path
        ).outcome()

        #expect(script.ending == .exited(0))
        #expect(script.error.isEmpty)
        #expect(shell.error.isEmpty)
        let offered = Set(shell.outputLines.map { $0.trimmingCharacters(in: .whitespaces) })
        let options: Set = ["--date", "--dry-run", "--help", "--json", "--log-level", "--now", "--version"]
        #expect(offered.isSuperset(of: options), "\(options.subtracting(offered))")
    }

    @Test func everyJobOfTheRepositoryIsThere() {
        let names = JobExecutable.jobs.map(\.name)

        #expect(names.count >= 3)
        for name in ["bootstrap", "bootstrap-sync", "org-sync-all"] { #expect(names.contains(name)) }
    }

    @Test(arguments: [
        ["--no-such-flag"], ["extra"], ["--date"], ["--date", "2026-02-30"], ["--date", "31.01.2026"], ["--date", ""],
        ["--date", "2026-01-31T00:00:00Z"], ["--now", "tomorrow"], ["--now", "2026-01-31"],
        ["--now", "2026-01-31T24:61:00Z"], ["--date", "2026-01-31", "--now", "2026-01-31T00:05:00Z"],
        ["--log-level", "loud"], ["--json=yes"], ["\u{1B}[31m\n--dry-run"],
    ])
    func aWrongCommandLineIsRefusedBeforeAnythingElse(_ arguments: [String]) async throws {
        let folder = try TemporaryFolder()

        for job in JobExecutable.jobs {
            let outcome = try await job.run(
                arguments, environment: ["WAREHOUSE_URL": "sqlite:warehouse.db", "ENVIRONMENT": "test"],
                in: folder.path)

            #expect(outcome.ending == .exited(64))
            #expect(outcome.output.isEmpty)
            #expect(outcome.errorLines.first?.hasPrefix("Error: ") == true)
            #expect(!outcome.error.contains("\u{1B}"))
        }
        #expect(try folder.names().isEmpty)
    }

    @Test(arguments: [
        "a;drop", "../x", "`a`", String(repeating: "x", count: 300), "", "ａcme", "аcme", "a b", "a-b", "a'--",
        "acme\u{200B}", "acme\n", "%2e%2e",
    ])
    func aHostileSlugIsRefused(_ slug: String) async throws {
        let folder = try TemporaryFolder()

        let outcome = try await JobExecutable.orgSyncAll.run(
            ["--org", "acme", "--org", slug],
            environment: ["WAREHOUSE_URL": "sqlite:warehouse.db", "ENVIRONMENT": "test"], in: folder.path)

        #expect(outcome.ending == .exited(64))
        #expect(outcome.output.isEmpty)
        #expect(outcome.errorLines.first?.contains("is not a valid slug") == true)
        #expect(try folder.names().isEmpty)
    }
}
