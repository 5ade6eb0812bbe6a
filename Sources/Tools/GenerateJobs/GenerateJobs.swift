import ArgumentParser
import DeploymentKit
import Foundation

/// Writes the files that follow from `jobs.yaml` and from the descriptions of the built jobs.
@main
struct GenerateJobs: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate-jobs",
        abstract: "Checks jobs.yaml and writes deploy/generated/ from it.",
        discussion: """
            The program starts every built job with --describe and checks jobs.yaml against the answers. It chooses the roles for \
            everything that the jobs use in BigQuery (deploy/access.json). Then it writes, for each environment: the Cloud Run Jobs (jobs/), the Cloud Scheduler triggers (triggers/), service accounts and roles \
            (iam.json), alert policies (alerts/) and the data of the scripts (deployment.json). It also writes jobs.schema.json \
            and the marked tables in README.md and docs/. It deploys nothing; scripts/create-all-jobs.sh does that.

            Exit codes: 0 done, 1 the files are out of date (--check), 64 wrong usage, 65 jobs.yaml has problems, 66 a job is not \
            built or gives no description.
            """)

    @Option(help: ArgumentHelp("The folder with jobs.yaml and Package.swift.", valueName: "folder"))
    var root = "."

    @Option(help: ArgumentHelp("The folder with the built jobs. Default: that of generate-jobs.", valueName: "folder"))
    var jobs: String?

    @Flag(help: "Write nothing; name the files that differ from jobs.yaml.")
    var check = false

    @Flag(help: "Accept jobs that have no executable yet.")
    var withoutTargets = false

    func run() throws {
        let tree = GeneratedTree(root: URL(fileURLWithPath: root, isDirectory: true))
        let file: JobsFile
        let texts: [String: String]
        do {
            file = try JobsFileReader.read(
                try text("jobs.yaml", in: tree.root),
                manifest: withoutTargets ? nil : try text("Package.swift", in: tree.root),
                access: try access(in: tree.root))
            let descriptions = try descriptions(of: file)
            try file.check(against: descriptions)
            texts = try tree.texts(for: file, describedBy: descriptions)
        } catch let problems as Problems {
            complain(problems.all.map(\.description))
            throw ExitCode(65)
        }
        if !file.warnings.isEmpty { complain(file.warnings.map { "warning: \($0)" }) }
        let changes = try tree.changes(to: texts)
        if check, !changes.isEmpty {
            complain(changes.map { "\($0.path) is out of date" } + ["run: swift run generate-jobs"])
            throw ExitCode(1)
        }
        try tree.apply(changes)
        print(changes.isEmpty ? "everything is up to date" : changes.map(\.sentence).joined(separator: "\n"))
    }

    private func descriptions(of file: JobsFile) throws -> JobDescriptions {
        let own = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent()
        let folder = jobs.map { URL(fileURLWithPath: $0, isDirectory: true) } ?? own ?? URL(fileURLWithPath: ".")
        do {
            return try BuiltJobs(folder: folder).descriptions(for: file.processes, skippingMissing: withoutTargets)
        } catch let error as BuiltJobs.Failure {
            complain(["error: \(error.description)"])
            throw ExitCode(66)
        }
    }

    private func access(in folder: URL) throws -> AccessList {
        let name = "deploy/access.json"
        do {
            return try AccessList(try text(name, in: folder))
        } catch let error as DecodingError {
            throw ValidationError("\(name) is not what scripts/record-access.sh writes: \(error)")
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
