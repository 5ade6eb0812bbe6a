import Foundation
import Testing

@testable import DeploymentKit

/// What watches the jobs: log-based metrics, the dashboard, and the alert on jobs that are skipped.
@Suite struct WatchingTests {
    private let file: JobsFile
    private let environment: EnvironmentDefinition

    init() throws {
        file = try Fixture.file()
        environment = file.environments[0]
    }

    /// Jobs with these schedules, one of each.
    private func jobs(_ schedules: [String], paused: Bool = false) throws -> [DeployedJob] {
        try schedules.enumerated().map { number, schedule in
            var text = try Fixture.yaml("- name: sweep", "- name: sweep-\(number)").replacing(
                "schedule: 0 1 * * *", with: "schedule: \"\(schedule)\"")
            if paused { text = text.replacing("confirm: false", with: "confirm: false\n    paused: [sweep-\(number)]") }
            let file = try JobsFileReader.read(text)
            return DeployedJob(job: file.jobs[0], environment: file.environments[0], file: file, description: nil)
        }
    }

    private func skipped(_ jobs: [DeployedJob]) -> [(name: String, document: Document)] {
        AlertPolicies(jobs: jobs, environment: environment).documents.filter { $0.name.hasPrefix("job-skipped") }
    }

    @Test(arguments: [(300, 86_400), (86_400, 302_400), (31 * 86_400, 9_374_400)])
    func threeRunsAndNeverLessThanADayMustBeSkipped(gap: Int, window: Int) {
        #expect(AlertPolicies.skippingWindow(gap) == window)
    }

    @Test func jobsThatRunEquallyOftenShareACondition() throws {
        let policies = skipped(try jobs(["0 1 * * *", "30 2 * * *", "5 0 1 * *"]))

        #expect(policies.map(\.name) == ["job-skipped"])
        let text = try #require(policies.first).document.json
        #expect(text.contains(#"job_name=~\"demo-sweep-0|demo-sweep-1\",status=\"skipped\"}[302400s])) > 2.5 unless "#))
        #expect(text.contains(#"job_name=~\"demo-sweep-2\",status!=\"skipped\"}[9374400s])) > 0.5"#))
        #expect(text.contains("logging_googleapis_com:user_scheduler_jobs_test_runs{"))
    }

    @Test func aPolicyHasAtMostSixConditions() throws {
        let policies = skipped(try jobs((2...14).map { "0 0 */\($0) * *" }))

        #expect(policies.count > 1)
        #expect(Set(policies.map(\.name)).count == policies.count)
        for policy in policies {
            let body = try #require(
                try JSONSerialization.jsonObject(with: Data(policy.document.json.utf8)) as? [String: Any])
            #expect((1...6).contains(try #require(body["conditions"] as? [Any]).count))
        }
    }

    @Test func jobsThatArePausedOrStartedByHandCannotBeSkippedAgainAndAgain() throws {
        #expect(skipped(try jobs(["0 1 * * *"], paused: true)).isEmpty)
        let byHand = file.jobs.filter { $0.schedule == nil }.map {
            DeployedJob(job: $0, environment: environment, file: file, description: nil)
        }
        #expect(!byHand.isEmpty)
        #expect(skipped(byHand).isEmpty)
    }

    /// Monitoring refuses the prompt CLOSED for an alert on log entries.
    @Test func everyAlertClosesByItselfAndSaysSo() throws {
        for policy in AlertPolicies(jobs: try jobs(["0 1 * * *"]), environment: environment).documents {
            let text = policy.document.json
            #expect(text.contains("\"autoClose\": "), "\(policy.name)")
            #expect(text.contains("The incident closes by itself "), "\(policy.name)")
            #expect(text.contains("\"CLOSED\"") == (policy.name != "trigger-failed"), "\(policy.name)")
            #expect(text.contains("you are notified of that") == (policy.name != "trigger-failed"), "\(policy.name)")
        }
    }

    @Test func everyCountOfAMetricIsOneThatAJobReports() throws {
        let sources = Fixture.root.appending(path: "Sources")
        let paths = try #require(FileManager.default.subpaths(atPath: sources.path)).filter { $0.hasSuffix(".swift") }
        let texts = try paths.filter { !$0.hasPrefix("DeploymentKit/") }.map {
            try String(contentsOf: sources.appending(path: $0), encoding: .utf8)
        }

        for field in LogMetrics.all.compactMap(\.field) {
            let name = field.split(separator: ".").last.map(String.init) ?? field
            #expect(texts.contains { $0.contains("\"\(name)\"") }, "\(field)")
        }
    }

    @Test func theDashboardAndTheAlertUseNoOtherMetrics() throws {
        let jobs = try jobs(["0 1 * * *"])
        let known = Set(LogMetrics(jobs: jobs, environment: environment).documents.map(\.name))
        let texts = [Dashboard(environment: environment).document.json] + skipped(jobs).map(\.document.json)

        var used: Set<String> = []
        for text in texts {
            for match in text.matches(of: /logging_googleapis_com:user_(\w+)/) {
                used.insert(String(match.output.1).replacing(/_(sum|count)$/, with: ""))
            }
        }
        #expect(used == known)
    }

    @Test(arguments: [(400, 0), (600, 1)]) func manyJobsMakeAFilterThatCloudLoggingRefuses(jobs: Int, problems: Int)
        throws
    {
        var file = file
        file.jobs = (1...jobs).map { number in
            var job = file.jobs[0]
            job.name = "export-report-of-the-d-\(number + 1000)"
            return job
        }
        let log = ProblemLog()

        FileRules(file: file, log: log).checkFilters(in: environment)

        #expect(log.problems.count == problems)
        let start = "environments test: the names of all jobs make a filter of "
        #expect(log.problems.allSatisfy { $0.line == 2 && $0.message.hasPrefix(start) })
    }

    @Test func publishedNamesAreWhatGooglesRolesContain() {
        for (role, permissions) in AccessRules.predefined {
            #expect(PublishedAccess.roles.contains(role))
            #expect(permissions.subtracting(PublishedAccess.permissions).isEmpty, "\(role)")
        }
        #expect(!PublishedAccess.isUnknown(role: "roles/pubsub.publisher"), "nothing is known about other services")
        #expect(!PublishedAccess.isUnknown(permission: "pubsub.topics.publish"))
        #expect(PublishedAccess.permissions.contains("bigquery.tables.getData"))
    }
}
