import ArgumentParser
import DeploymentKit
import Foundation

/// Writes the files of every environment from `jobs.yaml`.
@main
struct GenerateJobs: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate-jobs",
        abstract: "Checks jobs.yaml and writes deploy/generated/ from it.",
        discussion: """
            For each environment: the Cloud Run Jobs (jobs/), the Cloud Scheduler triggers (triggers/), service accounts \
            and roles (iam.json), alert policies (alerts/) and what the scripts read (deployment.json). Nothing is \
            deployed; scripts/create-all-jobs.sh does that.

            Exit codes: 0 done, 1 the files are out of date (--check), 64 wrong usage, 65 jobs.yaml has problems.
            """)

    @Option(help: ArgumentHelp("The folder with jobs.yaml and Package.swift.", valueName: "folder"))
    var root = "."

    @Flag(help: "Write nothing; name the files that differ from jobs.yaml.")
    var check = false

    @Flag(help: "Do not compare with the executables of Package.swift, for a job that is not written yet.")
    var withoutTargets = false

    func run() throws {
        let folder = URL(fileURLWithPath: root, isDirectory: true)
        let file = try read(folder)
        let generated = GeneratedFolder(url: folder.appending(path: "deploy/generated"))
        let changes = try generated.changes(to: GeneratedFiles.texts(for: file))
        guard check else {
            try generated.apply(changes)
            print(changes.isEmpty ? "deploy/generated is up to date" : changes.map(\.sentence).joined(separator: "\n"))
            return
        }
        if !changes.isEmpty {
            complain(changes.map { "\($0.path) is out of date" } + ["run: swift run generate-jobs"])
            throw ExitCode(1)
        }
        print("deploy/generated is up to date")
    }

    private func read(_ folder: URL) throws -> JobsFile {
        do {
            let manifest = withoutTargets ? nil : try text("Package.swift", in: folder)
            let file = try JobsFileReader.read(try text("jobs.yaml", in: folder), manifest: manifest)
            if !file.warnings.isEmpty { complain(file.warnings.map { "warning: \($0)" }) }
            return file
        } catch let problems as Problems {
            complain(problems.all.map(\.description))
            throw ExitCode(65)
        }
    }

    private func text(_ name: String, in folder: URL) throws -> String {
        let url = folder.appending(path: name)
        guard let text = try? String(contentsOf: url, encoding: .utf8) else {
            throw ValidationError("cannot read \(url.path)")
        }
        return text
    }

    private func complain(_ lines: [String]) {
        FileHandle.standardError.write(Data((lines.joined(separator: "\n") + "\n").utf8))
    }
}
