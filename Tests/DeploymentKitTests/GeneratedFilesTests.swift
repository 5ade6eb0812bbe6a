import Foundation
import Testing
import Yams

@testable import DeploymentKit

@Suite struct GeneratedFilesTests {
    /// Set to write the golden files anew; the run then fails, so that nobody leaves it on.
    private static let records = ProcessInfo.processInfo.environment["RECORD_GOLDEN_FILES"] != nil
    private static let golden = "Tests/DeploymentKitTests/Golden"

    @Test func writesTheGoldenFiles() throws {
        let texts = GeneratedFiles.texts(for: try Fixture.file())

        if Self.records {
            try record(texts)
            Issue.record("golden files were written; run again without RECORD_GOLDEN_FILES")
        }
        #expect(try files(Self.golden) == Set(texts.keys))
        for (path, text) in texts {
            #expect(try Fixture.text("\(Self.golden)/\(path)") == text, "\(path)")
        }
    }

    @Test func committedFilesAreUpToDate() throws {
        let texts = GeneratedFiles.texts(for: try JobsFileReader.read(Fixture.text("jobs.yaml")))

        #expect(try files("deploy/generated") == Set(texts.keys))
        for (path, text) in texts {
            #expect(try Fixture.text("deploy/generated/\(path)") == text, "\(path): swift run generate-jobs")
        }
    }

    @Test func yamlAndJSONSayTheSame() throws {
        let document: Document = [
            "empty": [:], "none": [], "text": "a: b # c", "number as text": "1", "yes": "yes", "quote": "\"\\\n\u{1}",
            "nested": [["a": ["b", ["c": 1]]], true, .null],
        ]

        let fromYAML = try #require(try Yams.load(yaml: document.yaml) as? NSDictionary)
        let fromJSON = try #require(
            try JSONSerialization.jsonObject(with: Data(document.json.utf8)) as? NSDictionary)

        #expect(fromYAML == fromJSON)
    }

    /// Its exit code 1 says that an item was given up, once; a second try of the task would find nothing due and succeed.
    @Test(arguments: ["test", "stage", "prod"])
    func theQueuesJobIsNotTriedAgain(_ environment: String) throws {
        let names = try files("deploy/generated").filter {
            $0.hasPrefix("\(environment)/jobs/") && $0.hasSuffix("billing-sync-retry.yaml")
        }

        #expect(names.count == 1)
        for name in names { #expect(try Fixture.text("deploy/generated/\(name)").contains("maxRetries: 0\n")) }
    }

    @Test func secretsAreNamesOnly() throws {
        let job = try #require(GeneratedFiles.texts(for: try Fixture.file())["test/jobs/demo-sweep.yaml"])

        #expect(job.contains("secretKeyRef:"))
        #expect(job.contains("name: stripe-test"))
        #expect(!job.contains("value: stripe-test"))
    }

    @Test func variablesOfTheDefaultsStayWhereAJobHasItsOwn() throws {
        let yaml = try Fixture.yaml(
            "defaults:\n", "defaults:\n  environment: {A: defaults, B: defaults, DAYS_TO_KEEP: 1}\n"
        )
        .replacing("    confirm: false\n", with: "    confirm: false\n    environment: {B: test, DAYS_TO_KEEP: 2}\n")
        let file = try JobsFileReader.read(yaml)

        let job = DeployedJob(job: file.jobs[0], environment: file.environments[0], common: file.variables)

        let own = job.variables.suffix(3).map { "\($0.name)=\($0.value)" }
        #expect(own == ["A=defaults", "B=test", "DAYS_TO_KEEP=90"])
    }

    @Test func aJobStopsBeforeItsTimeoutAndItsLeaseOutlivesIt() throws {
        for job in try JobsFileReader.read(Fixture.text("jobs.yaml")).jobs {
            #expect(job.deadlineSeconds < job.timeoutSeconds - 5)
            #expect(
                job.deadlineSeconds >= job.timeoutSeconds * 9 / 10 - 1 || job.timeoutSeconds - job.deadlineSeconds == 60
            )
            if let lease = job.leaseSeconds { #expect(lease > job.timeoutSeconds) }
        }
    }

    private func files(_ folder: String) throws -> Set<String> {
        let url = Fixture.root.appending(path: folder)
        let paths = (try? FileManager.default.subpathsOfDirectory(atPath: url.path)) ?? []
        return Set(paths.filter { !url.appending(path: $0).hasDirectoryPath && $0.contains(".") })
    }

    private func record(_ texts: [String: String]) throws {
        let folder = Fixture.root.appending(path: Self.golden)
        try? FileManager.default.removeItem(at: folder)
        for (path, text) in texts {
            let file = folder.appending(path: path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
    }
}
