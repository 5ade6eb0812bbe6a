import Foundation
import Testing

@testable import DeploymentKit

@Suite struct ProblemTests {
    struct Mistake: Sendable, CustomTestStringConvertible {
        var passage: String
        var replacement: String
        var expected: [String]

        init(_ passage: String, _ replacement: String, _ expected: String...) {
            self.passage = passage
            self.replacement = replacement
            self.expected = expected
        }

        var testDescription: String {
            expected.isEmpty ? "\(replacement.prefix(60))" : expected.joined(separator: "; ")
        }
    }

    static let shapes = [
        Mistake(
            "    purpose: Sets up.", "    purpos: Sets up.", "40: job setup lacks purpose",
            "42: job setup has the unknown key purpos; did you mean purpose?"),
        Mistake(
            "defaults:", "default:", "18: the file has the unknown key default; did you mean defaults?",
            "27: job sweep lacks cpu", "27: job sweep lacks parallelism", "27: job sweep lacks retries",
            "27: job sweep lacks tasks", "27: job sweep lacks time_zone", "27: job sweep lacks timeout",
            "40: job setup lacks cpu", "40: job setup lacks memory", "40: job setup lacks parallelism",
            "40: job setup lacks retries", "40: job setup lacks tasks", "40: job setup lacks time_zone",
            "40: job setup lacks timeout"),
        Mistake("    region: us-central1\n", "", "2: environments test lacks region"),
        Mistake("    executable: SetupJob\n", "", "40: job setup lacks executable"),
        Mistake("  timeout: 10m\n", "", "26: job sweep lacks timeout", "39: job setup lacks timeout"),
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
        Mistake(
            "    memory: 1024Mi", "    exclusive: true", "31: job sweep has the unknown key exclusive"),
        Mistake(
            "    schedule: 0 1 * * *\n", "    schedule: 0 1 * * *\n    parallelism: 2\n",
            "27: job sweep: parallelism 2 is more than its tasks, 1"),
    ]

    static let names = [
        Mistake("- name: setup", "- name: sweep", "40: job sweep appears twice, first in line 27"),
        Mistake(
            "- name: setup", "- name: \(String(repeating: "s", count: 60))",
            "40: job \(String(repeating: "s", count: 60)): demo-\(String(repeating: "s", count: 60)) in test has more than 63 characters",
            "40: job \(String(repeating: "s", count: 60)): its account dm-\(String(repeating: "s", count: 60)) in test must be 6 to 30 lowercase letters, digits and dashes"
        ),
        Mistake(
            "- name: setup", "- name: reconcile-all-the-subscriptions",
            "40: job reconcile-all-the-subscriptions: its account dm-reconcile-all-the-subscriptions in test must be 6 to 30 lowercase letters, digits and dashes"
        ),
        Mistake("- name: setup", "- name: trigger", "2: no job can be called trigger: its account is the triggers'"),
        Mistake(
            "- name: setup", "- name: Setup",
            "40: job Setup: name must be lowercase letters, digits and dashes, beginning with a letter, not Setup"),
        Mistake(
            "    confirm: false", "    confirm: false\n    paused: [setup]",
            "11: environments test: paused names setup, which has no schedule"),
        Mistake(
            "organizations: The organizations", "my-data: The organizations",
            "17: datasets: my-data cannot be the name of a dataset here",
            "39: job sweep: roles are given on project, my-data, not on organizations"),
    ]

    static let roles = [
        Mistake(
            "[roles/bigquery.jobUser, reader]", "[roles/bigquery.admin, reader]",
            "38: job sweep: roles/bigquery.admin is wider than any job needs"),
        Mistake(
            "[roles/bigquery.jobUser, reader]", "[roles/bigquery.dataEditor, reader]",
            "38: job sweep: give roles/bigquery.dataEditor on a dataset, not on the project"),
        Mistake(
            "[roles/bigquery.jobUser, reader]", "[reader, writer]",
            "38: job sweep: writer is neither roles/... nor one of custom_roles"),
        Mistake(
            "[roles/bigquery.jobUser, reader]", "[roles/bigquery.jobUser]",
            "13: custom_roles reader is not used by any job"),
        Mistake(
            "organizations: [roles", "customers: [roles",
            "39: job sweep: roles are given on project, organizations, not on customers"),
        Mistake(
            "bigquery.tables.get", "bigquery.tables",
            "15: custom_roles reader: bigquery.tables is not a permission, such as bigquery.tables.get"),
        Mistake(
            "bigquery.tables.get", "bigquery.datasets.setIamPolicy",
            "13: custom_roles reader: with bigquery.datasets.setIamPolicy a job could give itself every access"),
        Mistake(
            "[roles/bigquery.jobUser, reader]", "[roles/bigquery.resourceAdmin, reader]",
            "38: job sweep: roles/bigquery.resourceAdmin is wider than any job needs"),
        Mistake(
            "[roles/bigquery.dataEditor]", "[roles/bigquery.dataOwner]",
            "39: job sweep: roles/bigquery.dataOwner is wider than any job needs"),
        Mistake(
            "  reader:\n", "  r:\n", "13: custom_roles r is not used by any job",
            "13: custom_roles: r must be 3 to 40 letters, digits and underscores",
            "38: job sweep: reader is neither roles/... nor one of custom_roles"),
        Mistake(
            "[roles/bigquery.jobUser, reader]", "[roles/bigquery.jobuser, reader]",
            "38: job sweep: Google has no role roles/bigquery.jobuser; did you mean roles/bigquery.jobUser?"),
        Mistake(
            "[roles/bigquery.jobUser, reader]", "[roles/bigquery.user, reader]",
            "38: job sweep: the table of roles in AccessRules.swift does not have roles/bigquery.user"),
        Mistake(
            "bigquery.tables.get]", "bigquery.tables.getdata]",
            "15: custom_roles reader: Google has no permission bigquery.tables.getdata; did you mean bigquery.tables.getData?"
        ),
        Mistake(
            "bigquery.tables.get]", "logging.logMetric.list]",
            "15: custom_roles reader: Google has no permission logging.logMetric.list; did you mean logging.logMetrics.list?"
        ),
        Mistake("bigquery.tables.get]", "datacatalog.taxonomies.get]"),
    ]

    static let places = [
        Mistake(
            "region: us-central1", "region: us-centrall1",
            "4: environments test: Cloud Run has no region us-centrall1; did you mean us-central1?"),
        Mistake(
            "bigquery_location: US", "bigquery_location: us-centrall1",
            "5: environments test: BigQuery has no location us-centrall1; did you mean us-central1?"),
        Mistake(
            "[ops@example.com]", "[ops@example.com, Ops@Example.com]",
            "11: environments test: alert_emails names Ops@Example.com twice"),
        Mistake(
            "[ops@example.com]", "[\((1...17).map { "a\($0)@example.com" }.joined(separator: ", "))]",
            "11: environments test: alert_emails has 17 addresses, and an alert notifies at most 16"),
        Mistake(
            "[ops@example.com]", "[ops@example.com]\n    alert_channels: [On-call, On-call]",
            "12: environments test: alert_channels names On-call twice"),
        Mistake(
            "[ops@example.com]",
            "[ops@example.com]\n    alert_channels: [projects/other-project/notificationChannels/1]",
            "12: environments test: projects/other-project/notificationChannels/1 is a channel of other-project, and the alerts are in demo-project"
        ),
        Mistake(
            "[ops@example.com]", "[ops@example.com]\n    alert_channels: [projects/demo-project/channels/1]",
            "12: environments test: projects/demo-project/channels/1 is not the display name of a notification channel, or projects/PROJECT/notificationChannels/ID"
        ),
        Mistake(
            "[ops@example.com]",
            "[ops@example.com]\n    alert_channels: [\((1...16).map { "c\($0)" }.joined(separator: ", "))]",
            "11: environments test: alert_emails and alert_channels have 17 recipients, and an alert notifies at most 16"
        ),
        Mistake(
            "region: us-central1", "region: southamerica-west1",
            "4: environments test: Cloud Scheduler is not in southamerica-west1, although Cloud Run is; no trigger could be there"
        ),
    ]

    /// In the unit that Google counts: an umlaut has two bytes, an emoji two of UTF-16.
    static let lengths = [
        Mistake("title: Reads tables", "title: \(String(repeating: "ü", count: 50))"),
        Mistake(
            "title: Reads tables", "title: \(String(repeating: "ü", count: 51))",
            "14: custom_roles reader: title has more than 100 bytes"),
        Mistake("purpose: Sweeps.", "purpose: \(String(repeating: "🧹", count: 200))"),
        Mistake(
            "purpose: Sweeps.", "purpose: \(String(repeating: "🧹", count: 201))",
            "29: job sweep: purpose has more than 400 characters"),
        Mistake("DAYS_TO_KEEP: 90", "TEXT: \(String(repeating: "ü", count: 16_384))"),
        Mistake(
            "DAYS_TO_KEEP: 90", "TEXT: \(String(repeating: "ü", count: 16_384))x",
            "33: job sweep: TEXT has 32769 bytes, and may have 32768"),
    ]

    static let variables = [
        Mistake(
            "DAYS_TO_KEEP: 90", "API_KEY: 90",
            "33: job sweep: API_KEY looks like a secret; put it into secrets, not into environment"),
        Mistake(
            "DAYS_TO_KEEP: 90", "MODE: sk_live_1",
            "33: job sweep: MODE looks like a secret; put it into secrets, not into environment"),
        Mistake("DAYS_TO_KEEP: 90", "GCP_PROJECT_ID: x", "33: job sweep: GCP_PROJECT_ID is set by the generator"),
        Mistake("DAYS_TO_KEEP: 90", "CLOUD_RUN_JOB: x", "33: job sweep: CLOUD_RUN_JOB is reserved by Cloud Run"),
        Mistake(
            "DAYS_TO_KEEP: 90", "DAYS-TO-KEEP: 90",
            "33: job sweep: the variable DAYS-TO-KEEP must be letters, digits and underscores"),
        Mistake(
            "DAYS_TO_KEEP: 90", "PLACE: \"{zone}\"",
            "33: job sweep: {zone} has a placeholder other than {environment}, {project}, {region}"),
        Mistake(
            "DAYS_TO_KEEP: 90", "STRIPE_SECRET_KEY: x",
            "33: job sweep: STRIPE_SECRET_KEY looks like a secret; put it into secrets, not into environment",
            "35: job sweep: STRIPE_SECRET_KEY is both in environment and in secrets"),
        Mistake(
            "stripe-{environment}", "sk_live_abc",
            "35: job sweep: STRIPE_SECRET_KEY holds a secret itself instead of a secret's name"),
        Mistake(
            "stripe-{environment}", "stripe/{environment}",
            "35: job sweep: the secret's name stripe/test must be 1 to 255 letters, digits, dashes and underscores"),
        Mistake(
            "stripe-{environment}", "stripe-{environment}:0",
            "35: job sweep: the version of the secret stripe-test must be a whole number from 1, or latest, not 0"),
        Mistake(
            "stripe-{environment}", "stripe:newest",
            "35: job sweep: the version of the secret stripe must be a whole number from 1, or latest, not newest"),
        Mistake(
            "stripe-{environment}", "\"stripe:\"",
            "35: job sweep: the version of the secret stripe must be a whole number from 1, or latest, not nothing"),
        Mistake(
            "stripe-{environment}", "stripe:7:8",
            "35: job sweep: the version of the secret stripe must be a whole number from 1, or latest, not 7:8"),
        Mistake(
            "stripe-{environment}", "projects/p/secrets/stripe/versions/7",
            "35: job sweep: the secret's name projects/p/secrets/stripe/versions/7 must be 1 to 255 letters, digits, dashes "
                + "and underscores"),
        Mistake(
            "stripe-{environment}", "{secret: stripe, version: 7}",
            "35: job sweep, secrets: STRIPE_SECRET_KEY must be a word or a number"),
        Mistake(
            "[--region, \"{region}\"]", "[--key=sk_test_1]",
            "36: job sweep: an argument looks like a secret; put it into secrets"),
        Mistake(
            "DAYS_TO_KEEP: 90", "API: https://me:pw@api.example.com/",
            "33: job sweep: API looks like a secret; put it into secrets, not into environment"),
        Mistake(
            "defaults:\n", "defaults:\n  environment: {API_KEY: 90}\n",
            "19: defaults: API_KEY looks like a secret; put it into secrets, not into environment"),
    ]

    @Test(arguments: shapes + schedules + sizes + names + roles + places + lengths + variables)
    func namesWhatIsWrongAndItsLine(_ mistake: Mistake) throws {
        let found = Fixture.problems(try Fixture.yaml(mistake.passage, mistake.replacement))

        #expect(found == mistake.expected)
    }

    @Test func readsTheFixtureWithoutProblems() {
        #expect(Fixture.problems(Fixture.yaml) == [])
    }

    @Test func aCustomRoleIsJudgedByItsPermissionsAndNotByItsName() {
        #expect(Fixture.problems(Fixture.yaml.replacing("reader", with: "schema_admin")) == [])
    }

    @Test func findsNamesThatTwoEnvironmentsHaveInOneProject() throws {
        let second = try #require(Fixture.yaml.range(of: "  test:\n"))
        let block = Fixture.yaml[second.lowerBound..<(try #require(Fixture.yaml.range(of: "custom_roles:"))).lowerBound]
        let both = Fixture.yaml.replacing(
            "custom_roles:", with: block.replacing("  test:", with: "  stage:") + "custom_roles:")
        let found = Fixture.problems(both)

        #expect(
            found.contains("16: environments stage and test both have the job demo-sweep in demo-project, us-central1"))
        #expect(
            found.contains(
                "16: environments stage and test both have the trigger demo-sweep-trigger in demo-project, us-central1")
        )
        #expect(found.contains("16: environments stage and test both have the account dm-sweep in demo-project"))
        #expect(found.contains("16: environments stage and test both have the custom role demo_reader in demo-project"))
    }

    @Test func reportsEverythingAtOnceInTheOrderOfLines() throws {
        let yaml = Fixture.yaml.replacing("retries: 1", with: "retries: -1").replacing("cpu: 1", with: "cpu: 9")
            .replacing("purpose: Sets up.", with: "purpos: Sets up.")
        let lines = Fixture.problems(yaml)

        #expect(lines.count == 4)
        #expect(lines == lines.sorted { Int($0.prefix { $0 != ":" }) ?? 0 < Int($1.prefix { $0 != ":" }) ?? 0 })
    }

    @Test func saysWhereTheTextIsNotYAML() {
        #expect(Fixture.problems("jobs:\n  - name: [\n") == ["3: not YAML: did not find expected node content"])
        #expect(Fixture.problems("") == ["1: the file is empty"])
    }

    @Test func noEnvironmentAndNoJobAreProblems() {
        #expect(Fixture.problems("environments: {}\njobs: []\n") == ["1: environments is empty", "2: jobs is empty"])
    }

    @Test func aNameThatBeginsAsThoseOfAnotherEnvironmentIsRefused() throws {
        let second = """
              stage:
                project: demo-project
                region: us-central1
                bigquery_location: US
                prefix: demo-stage-
                account_prefix: dm-st-
                images: us-central1-docker.pkg.dev/demo-project/jobs
                image_tag: 1.0.0
                confirm: false

            """
        let yaml = try Fixture.yaml("custom_roles:\n", "\(second)custom_roles:\n")
            .replacing("name: setup", with: "name: stage-setup").replacing("name: sweep", with: "name: st-sweep")

        #expect(
            Fixture.problems(yaml) == [
                "36: job st-sweep: dm-st-sweep in test begins with the prefix of stage, dm-st-",
                "49: job stage-setup: demo-stage-setup in test begins with the prefix of stage, demo-stage-",
            ])
    }
}
