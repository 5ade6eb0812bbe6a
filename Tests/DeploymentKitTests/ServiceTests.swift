import Foundation
import Testing

@testable import DeploymentKit

/// Holds jobs.yaml, the built jobs, the generated files and the documents of this repository to each other.
@Suite struct ServiceTests {
    /// The recorded list of jobs: none appears or disappears unnoticed. Every other list is derived from jobs.yaml or from the jobs
    /// themselves.
    @Test func jobsAreThoseOfTheService() throws {
        let path = "Tests/DeploymentKitTests/jobs.txt"
        let jobs = try JobsFileReader.read(Fixture.text("jobs.yaml")).jobs
        let list = jobs.map { "\($0.name): \($0.schedule?.text ?? "manual") \($0.timeZone)\n" }.joined()

        if Fixture.recordsGoldenFiles {
            try Data(list.utf8).write(to: Fixture.root.appending(path: path))
            Issue.record("\(path) was written; run again without RECORD_GOLDEN_FILES")
        }
        #expect(
            try list == Fixture.text(path),
            "If the change is meant: RECORD_GOLDEN_FILES=1 scripts/test.sh --filter jobsAreThoseOfTheService")
    }

    /// Starts every built job with `--describe`, in every environment of jobs.yaml.
    @Test func jobsYAMLSaysWhatTheBuiltJobsSayAndEverythingGeneratedIsUpToDate() throws {
        let done = try GenerateJobs.run(root: Fixture.root, "--check")

        #expect(done.code == 0, "\(done.errors)")
        #expect(done.output == "everything is up to date\n")
    }

    @Test func everyJobHasATargetAndEveryTargetAJob() throws {
        let file = try JobsFileReader.read(Fixture.text("jobs.yaml"))

        #expect(
            Problems(TargetRules(file: file).problems(manifest: try Fixture.text("Package.swift"))).description == "")
    }

    @Test func findsJobsWithoutATargetAndTargetsWithoutAJob() throws {
        let manifest = "targets: [\n    job(\"SweepJob\"),\n    job(\"BillingJob\", with: [\"BillingKit\"]),\n]\n"

        let problems = TargetRules(file: try Fixture.file()).problems(manifest: manifest)

        #expect(
            Problems(problems).description == """
                Package.swift:3: no job of jobs.yaml has the executable BillingJob
                jobs.yaml:41: job setup: Package.swift has no line job("SetupJob")
                """)
    }

    @Test func operationsHasOneSectionForEachJob() throws {
        let headings = try Fixture.text("docs/operations.md").split(separator: "\n")
            .compactMap { $0.wholeMatch(of: /#{2,3} `?([a-z0-9-]+)`?/)?.output.1 }

        for job in try JobsFileReader.read(Fixture.text("jobs.yaml")).jobs {
            #expect(headings.filter { $0 == job.name }.count == 1, "\(job.name)")
        }
    }

    @Test func theDocumentsHaveTheirTables() throws {
        #expect(try Fixture.text("README.md").contains("<!-- generated: jobs -->"))
        #expect(try Fixture.text("docs/deployment.md").contains("<!-- generated: roles -->"))
    }

    @Test func theFileNamesItsSchema() throws {
        #expect(try Fixture.text("jobs.yaml").hasPrefix("# yaml-language-server: $schema=jobs.schema.json\n"))
    }

    /// Its exit code 1 says that an item was given up, once; a second try of the task would find nothing due and succeed.
    @Test func theQueuesJobIsNotTriedAgain() throws {
        let file = try JobsFileReader.read(Fixture.text("jobs.yaml"))
        let job = try #require(file.jobs.first { $0.name == "billing-sync-retry" })

        #expect(!file.environments.isEmpty)
        for environment in file.environments {
            let resource = DeployedJob(job: job, environment: environment, file: file, description: nil).resource
            #expect(resource.yaml.contains("maxRetries: 0\n"), "\(environment.name)")
        }
    }
}
