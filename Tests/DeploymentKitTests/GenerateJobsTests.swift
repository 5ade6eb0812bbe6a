import Foundation
import Testing

/// The built `generate-jobs`, as it is run.
enum GenerateJobs {
    /// The folder that these tests, and with them all executables of the package, were built into.
    static let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()

    static func run(
        root: URL, _ arguments: String...
    ) throws -> (code: Int32, output: String, errors: String) {
        let process = Process()
        let (output, errors) = (Pipe(), Pipe())
        process.executableURL = folder.appending(path: "generate-jobs")
        process.arguments = ["--root", root.path] + arguments
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let complaints = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (
            process.terminationStatus, String(decoding: text, as: UTF8.self),
            String(decoding: complaints, as: UTF8.self)
        )
    }
}

/// `generate-jobs` on a repository of its own, with jobs that are shell scripts.
@Suite final class GenerateJobsTests {
    private let root = FileManager.default.temporaryDirectory.appending(path: "generate-jobs-\(UUID().uuidString)")
    private let manifest = "    job(\"SweepJob\"),\n    job(\"SetupJob\"),\n"

    init() throws {
        try write("jobs.yaml", Fixture.yaml)
        try write("deploy/access.json", Fixture.access)
        try write("Package.swift", manifest)
        try write("README.md", "# Demo\n\n<!-- generated: jobs -->\n<!-- /generated -->\n")
        try FileManager.default.createDirectory(at: root.appending(path: "bin"), withIntermediateDirectories: true)
        try job("SweepJob", "cat \"\(descriptions)/sweep.json\"")
        try job("SetupJob", "cat \"\(descriptions)/setup.json\"")
    }

    deinit { try? FileManager.default.removeItem(at: root) }

    private var descriptions: String {
        Fixture.root.appending(path: "Tests/DeploymentKitTests/Descriptions").path
    }

    private func write(_ path: String, _ text: String) throws {
        let file = root.appending(path: path)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }

    /// A job that answers `--describe` with this command, and fails otherwise.
    private func job(_ executable: String, _ command: String) throws {
        try write("bin/\(executable)", "#!/bin/sh\n[ \"$*\" = --describe ] || exit 64\n\(command)\n")
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o755], ofItemAtPath: root.appending(path: "bin/\(executable)").path)
    }

    private func generate(_ arguments: String...) throws -> (code: Int32, output: String, errors: String) {
        let jobs = root.appending(path: "bin").path
        return try arguments.isEmpty
            ? GenerateJobs.run(root: root, "--jobs", jobs) : GenerateJobs.run(root: root, "--jobs", jobs, arguments[0])
    }

    @Test func writesEverythingOnceAndChecksIt() throws {
        let before = try generate("--check")
        let first = try generate()
        let second = try generate()
        let after = try generate("--check")

        #expect(before.code == 1)
        #expect(before.errors.contains("README.md is out of date\n"))
        #expect((first.code, first.errors) == (0, ""))
        #expect(first.output.contains("wrote deploy/generated/test/jobs/demo-sweep.yaml\n"))
        #expect(first.output.contains("changed README.md\n"))
        #expect(first.output.contains("wrote jobs.schema.json"))
        #expect(second.output == "everything is up to date\n")
        #expect((after.code, after.errors) == (0, ""))
        #expect(
            try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8).contains(
                "| `sweep` | `SweepJob` |"))
    }

    @Test func removesWhatNoJobAsksForAnyMore() throws {
        _ = try generate()
        try write("deploy/generated/test/jobs/demo-gone.yaml", "gone")

        #expect(try generate("--check").errors.contains("deploy/generated/test/jobs/demo-gone.yaml is out of date\n"))
        #expect(try generate().output == "removed deploy/generated/test/jobs/demo-gone.yaml\n")
    }

    @Test func saysWhatIsNotBuilt() throws {
        try FileManager.default.removeItem(at: root.appending(path: "bin/SetupJob"))

        let done = try generate()

        #expect(done.code == 66)
        #expect(
            done.errors == "error: \(root.path)/bin does not have SetupJob. Build the jobs first: swift build. "
                + "If they are elsewhere, name their folder: --jobs FOLDER\n")
        #expect(try generate("--without-targets").code == 0)
    }

    @Test(arguments: [
        ("exit 3", "error: SetupJob --describe ended with the exit code 3\n"),
        ("echo hello", "error: SetupJob --describe printed no description: "),
    ])
    func saysWhichJobDoesNotDescribeItself(_ command: String, _ expected: String) throws {
        try job("SetupJob", command)

        let done = try generate()

        #expect(done.code == 66)
        #expect(done.errors.hasPrefix(expected), "\(done.errors)")
    }

    @Test func startsAJobInItsOwnEnvironmentAndReportsItsProblems() throws {
        let finding = "[{\"variables\": [\"DAYS_TO_KEEP\"], \"problem\": \"$DAYS_TO_KEEP $HOME\"}]"
        let description = try Fixture.text("Tests/DeploymentKitTests/Descriptions/sweep.json")
            .replacing("\"problems\": []", with: "\"problems\": \(finding)")
        try job("SweepJob", "cat <<END\n\(description)END")

        let done = try generate()

        #expect(done.code == 65)
        #expect(done.errors == "jobs.yaml:33: job sweep: 90 \n")
    }
}
