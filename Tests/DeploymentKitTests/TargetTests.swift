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

        #expect(Problems(problems).description == "")
    }

    @Test func executablesCallThemselvesAsJobsYAMLDoes() throws {
        for job in try JobsFileReader.read(Fixture.text("jobs.yaml")).jobs {
            let name = job.executable.value
            guard let code = try? Fixture.text("Sources/Jobs/\(name)/\(name).swift") else { continue }
            let own = try #require(code.firstMatch(of: /static let name = (.+)/)?.output.1, "\(name)")
            #expect(try value(of: String(own)) == "\"\(job.name)\"", "\(name)")
        }
    }

    /// The literal itself, or that of the constant which a library has for it, such as `QuotaReset.dailyJob`.
    private func value(of expression: String) throws -> String? {
        let parts = expression.split(separator: ".")
        guard parts.count == 2 else { return expression }
        let sources = Fixture.root.appending(path: "Sources")
        let path = try FileManager.default.subpathsOfDirectory(atPath: sources.path).first {
            $0.hasSuffix("/\(parts[0]).swift")
        }
        let code = try Fixture.text("Sources/\(try #require(path))")
        return code.split(separator: "\n").first { $0.contains("static let \(parts[1]) = ") }?
            .components(separatedBy: " = ").last
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
