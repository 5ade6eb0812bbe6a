import Foundation
import Testing

@testable import DeploymentKit

/// Compares a jobs.yaml with the descriptions of its jobs.
@Suite struct DescriptionTests {
    typealias Mistake = ProblemTests.Mistake

    private static func problems(
        _ yaml: String, _ change: (inout JobDescriptions) -> Void = { _ in }
    ) throws -> [String] {
        var descriptions = try Fixture.descriptions()
        change(&descriptions)
        let file = try JobsFileReader.read(yaml)
        return Fixture.problems { () throws(Problems) in try file.check(against: descriptions) }
    }

    @Test func theFixtureIsWhatItsJobsSay() throws {
        #expect(try Self.problems(Fixture.yaml) == [])
    }

    static let variables = [
        Mistake(
            "DAYS_TO_KEEP: 90", "DAY_TO_KEEP: 90",
            "33: job sweep: SweepJob does not read DAY_TO_KEEP; did you mean DAYS_TO_KEEP?"),
        Mistake("DAYS_TO_KEEP: 90", "COLOR: red", "33: job sweep: SweepJob does not read COLOR"),
        Mistake(
            "STRIPE_SECRET_KEY: stripe", "STRIPE_SECRET_KEYS: stripe",
            "27: job sweep lacks the secret STRIPE_SECRET_KEY, which SweepJob requires; put it into secrets",
            "35: job sweep: SweepJob does not read STRIPE_SECRET_KEYS; did you mean STRIPE_SECRET_KEY?"),
        Mistake(
            "DAYS_TO_KEEP: 90", "WEBHOOK_ADDRESS: x",
            "33: job sweep: WEBHOOK_ADDRESS is a secret; put it into secrets, not into environment"),
        Mistake(
            "defaults:\n", "defaults:\n  environment: {LOG_FORMATS: json}\n",
            "19: defaults: no job reads LOG_FORMATS; did you mean LOG_FORMAT?"),
        Mistake(
            "    confirm: false\n", "    confirm: false\n    environment: {WEBHOOK_ADDRESS: x}\n",
            "11: environments test: WEBHOOK_ADDRESS is a secret; put it into secrets, not into environment"),
        Mistake(
            "[--region, ", "[--date=2026-01-31, --dry-run, --region, ",
            "36: job sweep: with the argument --date=2026-01-31 in every run the job could never do its work; it is for a run by "
                + "hand: scripts/run-job.sh",
            "36: job sweep: with the argument --dry-run in every run the job could never do its work; it is for a run by hand: "
                + "scripts/run-job.sh"),
        Mistake("  tasks: 1", "  tasks: 2", "27: job sweep: an exclusive job has one task, not 2"),
        Mistake(
            "purpose: Sweeps.", "purpose: Cleans.", "29: job sweep: purpose must be what SweepJob says: Sweeps."),
    ]

    @Test(arguments: variables)
    func namesWhatTheJobContradicts(_ mistake: Mistake) throws {
        let found = try Self.problems(try Fixture.yaml(mistake.passage, mistake.replacement))

        #expect(found == mistake.expected)
    }

    @Test func variablesOfSeveralJobsNeedOneReader() throws {
        let yaml = try Fixture.yaml("defaults:\n", "defaults:\n  environment: {DAYS_TO_KEEP: 30, LOG_FORMAT: json}\n")

        #expect(try Self.problems(yaml) == [])
    }

    @Test func aBinaryThatIsAnotherJobIsNamed() throws {
        let found = try Self.problems(Fixture.yaml) {
            $0["test"]?["setup"]?.name = "set-up"
            $0["test"]?["setup"]?.executable = "SetUpJob"
        }

        #expect(
            found == [
                "40: job setup: SetupJob is the job set-up by its own description",
                "41: job setup: SetupJob describes itself as SetUpJob",
            ])
    }

    @Test func aRequiredVariableMayComeFromAnywhere() throws {
        let place: (inout JobDescriptions) -> Void = {
            $0["test"]?["setup"]?.variables.append(.init(name: "PLACE", required: true, secret: false))
            $0["test"]?["setup"]?.problems = [.init(variables: ["PLACE"], problem: "PLACE is missing")]
        }
        let environment = "    confirm: false\n    environment: {PLACE: here}\n"

        #expect(
            try Self.problems(Fixture.yaml, place) == [
                "40: job setup lacks the variable PLACE, which SetupJob requires; put it into environment"
            ])
        #expect(
            try Self.problems(try Fixture.yaml("    confirm: false\n", environment)) {
                $0["test"]?["setup"]?.variables.append(.init(name: "PLACE", required: true, secret: false))
            } == [])
    }

    static let bad = JobDescription.Finding(variables: ["DAYS_TO_KEEP"], problem: "DAYS_TO_KEEP is 0")

    @Test func aValueOutOfRangeIsReportedWhereItStands() throws {
        let spoil: (inout JobDescriptions) -> Void = { $0["test"]?["sweep"]?.problems = [Self.bad] }
        let elsewhere = try Fixture.yaml("    environment:\n      DAYS_TO_KEEP: 90\n", "")
        let defaults = elsewhere.replacing("defaults:\n", with: "defaults:\n  environment: {DAYS_TO_KEEP: 0}\n")

        #expect(try Self.problems(Fixture.yaml, spoil) == ["33: job sweep: DAYS_TO_KEEP is 0"])
        #expect(try Self.problems(elsewhere, spoil) == ["27: job sweep: DAYS_TO_KEEP is 0"])
        #expect(try Self.problems(defaults, spoil) == ["19: defaults: DAYS_TO_KEEP is 0"])
    }

    /// A job is described without its secrets.
    @Test func aSecretOfTheFileIsNotReportedAsMissing() throws {
        let found = try Self.problems(Fixture.yaml) {
            $0["test"]?["sweep"]?.problems = [
                .init(
                    variables: ["DAYS_TO_KEEP", "STRIPE_SECRET_KEY"], problem: "DAYS_TO_KEEP needs STRIPE_SECRET_KEY")
            ]
        }

        #expect(found == [])
    }

    @Test func aValueForSeveralJobsIsWrongOnce() throws {
        let yaml = try Fixture.yaml("    confirm: false\n", "    confirm: false\n    environment: {LOG_FORMAT: loud}\n")

        let found = try Self.problems(yaml) {
            let finding = JobDescription.Finding(variables: ["LOG_FORMAT"], problem: "LOG_FORMAT is loud")
            $0["test"]?["sweep"]?.problems = [finding]
            $0["test"]?["setup"]?.problems = [finding]
        }

        #expect(found == ["11: environments test: LOG_FORMAT is loud"])
    }

    @Test func aValueThatIsWrongInOneEnvironmentNamesIt() throws {
        let stage = try Fixture.yaml("custom_roles:\n", WarningTests.stage + "custom_roles:\n")

        let found = try Self.problems(stage) {
            $0["stage"] = $0["test"]
            $0["stage"]?["sweep"]?.problems = [Self.bad]
        }

        #expect(found == ["42: job sweep in stage: DAYS_TO_KEEP is 0"])
    }

    @Test func aJobIsAskedInTheEnvironmentThatItGets() throws {
        let processes = try Fixture.file().processes

        #expect(processes.map(\.job) == ["sweep", "setup"])
        #expect(processes[0].executable == "SweepJob")
        #expect(
            processes[0].variables == [
                "GCP_PROJECT_ID": "demo-project", "ENVIRONMENT": "test", "BIGQUERY_LOCATION": "US",
                "DEADLINE_SECONDS": "540", "DAYS_TO_KEEP": "90",
            ])
    }
}
