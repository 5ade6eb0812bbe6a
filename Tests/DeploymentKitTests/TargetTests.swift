import Foundation
import Testing

@testable import DeploymentKit

/// Holds jobs.yaml, the executables and their names to each other.
@Suite struct TargetTests {
    @Test func findsJobsWithoutATargetAndTargetsWithoutAJob() throws {
        let manifest = "targets: [\n    job(\"SweepJob\"),\n    job(\"BillingJob\", with: [\"BillingKit\"]),\n]\n"

        let problems = TargetRules().problems(try Fixture.file(), manifest: manifest)

        #expect(
            Problems(problems).description == """
                Package.swift:3: no job of jobs.yaml has the executable BillingJob
                jobs.yaml:41: job setup: Package.swift has no line job("SetupJob")
                """)
    }

    @Test func everyJobHasATargetAndEveryTargetAJob() throws {
        let problems = TargetRules().problems(
            try JobsFileReader.read(Fixture.text("jobs.yaml")), manifest: try Fixture.text("Package.swift"))

        withKnownIssue("the two billing jobs are not there yet") {
            #expect(Problems(problems).description == "")
        }
    }

    @Test func executablesCallThemselvesAsJobsYAMLDoes() throws {
        for job in try JobsFileReader.read(Fixture.text("jobs.yaml")).jobs {
            let name = job.executable.value
            guard let code = try? Fixture.text("Sources/Jobs/\(name)/\(name).swift") else { continue }
            #expect(code.contains("static let name = \"\(job.name)\""), "\(name)")
        }
    }

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
}
