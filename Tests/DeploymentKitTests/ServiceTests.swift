import Foundation
import Testing

@testable import DeploymentKit

/// Holds jobs.yaml, the built jobs, the generated files and the documents of this repository to each other.
@Suite struct ServiceTests {
    /// The one list of jobs. Every other list is derived from jobs.yaml or from the jobs themselves.
    @Test func jobsAreThoseOfTheService() throws {
        let jobs = try JobsFileReader.read(Fixture.text("jobs.yaml")).jobs
        let schedules = jobs.map { "\($0.name): \($0.schedule?.text ?? "manual") \($0.timeZone)" }

        #expect(
            schedules == [
                "bootstrap: manual Etc/UTC", "bootstrap-sync: manual Etc/UTC", "org-sync-all: manual Etc/UTC",
                "quota-reset-daily: 0 0 * * * Etc/UTC", "quota-reset-monthly: 5 0 1 * * Etc/UTC",
                "stale-cleanup: */15 * * * * Etc/UTC", "quota-cleanup: 0 1 * * * Etc/UTC",
                "billing-sync-retry: */5 * * * * Etc/UTC", "billing-sync-reconcile: 0 2 * * * Etc/UTC",
            ])
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
