import Testing

@testable import DeploymentKit

@Suite struct ProblemTests {
    struct Mistake: Sendable, CustomTestStringConvertible {
        var passage: String
        var replacement: String
        var expected: String

        init(_ passage: String, _ replacement: String, _ expected: String) {
            self.passage = passage
            self.replacement = replacement
            self.expected = expected
        }

        var testDescription: String { expected }
    }

    static let shapes = [
        Mistake(
            "    purpose: Sets up.", "    purpos: Sets up.",
            "42: job setup has the unknown key purpos; did you mean purpose?"),
        Mistake("defaults:", "default:", "18: the file has the unknown key default; did you mean defaults?"),
        Mistake("    region: us-central1\n", "", "2: environments test lacks region"),
        Mistake("    executable: SetupJob\n", "", "40: job setup lacks executable"),
        Mistake("  timeout: 10m\n", "", "26: job sweep lacks timeout"),
        Mistake(
            "    confirm: false", "    confirm: no", "10: environments test: confirm must be true or false, not no"),
        Mistake("arguments: [--region, \"{region}\"]", "arguments: --all", "36: job sweep: arguments must be a list"),
        Mistake("  test:", "  dev:", "2: environments dev: the jobs know the environments test, stage, prod"),
        Mistake("  retries: 1", "  retries: 11", "21: defaults: retries must be a whole number from 0 to 10, not 11"),
        Mistake(
            "project: demo-project", "project: Demo",
            "3: environments test: project must be a project id: 6 to 30 lowercase letters, digits and dashes, not Demo"
        ),
        Mistake("ops@example.com", "ops", "11: environments test: ops is not an e-mail address"),
        Mistake(
            "ops@example.com", "ops.example.com", "11: environments test: ops.example.com is not an e-mail address"),
        Mistake(
            "image_tag: 1.0.0", "image_tag: latest",
            "9: environments test: image_tag must be a version of letters, digits, dots, dashes and underscores, other than latest, not latest"
        ),
        Mistake(
            "- name: setup", "- name: \(String(repeating: "s", count: 64))",
            "40: job \(String(repeating: "s", count: 64)): name has 64 characters, and may have 63"),
        Mistake(
            "    executable: SetupJob", "    executable: setup",
            "41: job setup: executable must be the name of a target, such as OrgSyncAllJob, not setup"),
    ]

    static let schedules = [
        Mistake(
            "schedule: 0 1 * * *", "schedule: 0 1 * *",
            "30: job sweep: the schedule 0 1 * * has 4 fields instead of five: minute, hour, day of month, month, day of week"
        ),
        Mistake(
            "schedule: 0 1 * * *", "schedule: 60 1 * * *",
            "30: job sweep: the schedule 60 1 * * * has the minute 60, which is not within 0 to 59"),
        Mistake(
            "schedule: 0 1 * * *", "schedule: 0 1 * * L",
            "30: job sweep: the schedule 0 1 * * L has the day of week L, which is not within 0 to 7"),
        Mistake(
            "schedule: 0 1 * * *", "schedule: 0 1 5-1 * *",
            "30: job sweep: the schedule 0 1 5-1 * * has the day of month 5-1, which ends before it begins"),
        Mistake(
            "schedule: 0 1 * * *", "schedule: \"*/0 1 * * *\"",
            "30: job sweep: the schedule */0 1 * * * has the minute */0, where the step is not a positive number"),
        Mistake(
            "schedule: 0 1 * * *", "schedule: \"+5 1 * * *\"",
            "30: job sweep: the schedule +5 1 * * * has the minute +5, which is not within 0 to 59"),
        Mistake(
            "schedule: 0 1 * * *", "schedule: \"*/70 1 * * *\"",
            "30: job sweep: the schedule */70 1 * * * has the minute */70, where the step is beyond 59"),
        Mistake(
            "schedule: 0 1 * * *", "schedule: 0 1 30 2 *",
            "30: job sweep: the schedule 0 1 30 2 * never comes: no such day in these months"),
        Mistake(
            "time_zone: Etc/UTC", "time_zone: Mars/Olympus",
            "19: defaults: Mars/Olympus is no time zone of the tz database, such as Europe/Berlin"),
        Mistake(
            "time_zone: Etc/UTC", "time_zone: GMT+2",
            "19: defaults: GMT+2 is no time zone of the tz database, such as Europe/Berlin"),
        Mistake("timeout: 10m", "timeout: 169h", "20: defaults: timeout must be from 1m to 168h, not 169h"),
        Mistake(
            "timeout: 10m", "timeout: 600",
            "20: defaults: timeout must be a number and a unit, such as 90s, 10m or 2h, not 600"),
    ]

    static let sizes = [
        Mistake("cpu: 1", "cpu: 3", "22: defaults: cpu must be 1, 2, 4, 6 or 8, not 3"),
        Mistake(
            "memory: 512Mi", "memory: 8Gi", "23: defaults: with cpu 1 memory must be from 512Mi to 4096Mi, not 8Gi"),
        Mistake(
            "memory: 512Mi", "memory: 512MB",
            "23: defaults: memory must be a number and Mi or Gi, such as 512Mi, not 512MB"),
        Mistake("  tasks: 1", "  tasks: 2", "27: job sweep: an exclusive job has one task, not 2"),
        Mistake(
            "    schedule: 0 1 * * *\n", "    schedule: 0 1 * * *\n    parallelism: 2\n",
            "27: job sweep: parallelism 2 is more than its tasks, 1"),
    ]

    @Test(arguments: shapes + schedules + sizes)
    func namesWhatIsWrongAndItsLine(_ mistake: Mistake) throws {
        let found = Fixture.problems(try Fixture.yaml(mistake.passage, mistake.replacement))

        #expect(found.contains(mistake.expected), "found \(found)")
    }

    @Test func readsTheFixtureWithoutProblems() {
        #expect(Fixture.problems(Fixture.yaml) == [])
    }
}
