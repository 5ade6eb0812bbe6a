import ArgumentParser
import JobRuntime
import Logging

/// A job that does what its `--act` says.
struct TrialJob: ScheduledJob {
    enum Act: String, ExpressibleByArgument {
        case succeed, failOne, breakDown, skip, misconfigured, cancelItself
        case untilStopped, finishWhenStopped, ignoreStop, failWhenStopped
    }

    struct Options: ParsableArguments, Sendable {
        @Option var act = Act.succeed
    }

    struct Settings: JobSettings {
        let project: String
        let limit: Int
        let key: Secret?

        init(reading environment: inout EnvironmentReader) {
            project = environment.string(
                "TRIAL_PROJECT", default: "none", expected: "a project id", help: "The project to try."
            ) {
                $0.contains(";") ? "contains a semicolon" : nil
            }
            limit = environment.integer("TRIAL_LIMIT", default: 3, in: 1...9, help: "How often to try.")
            key = environment.secret("TRIAL_KEY", help: "The key to try.")
        }
    }

    struct Breakdown: Error, CustomStringConvertible {
        let description = "the warehouse burnt down"
    }

    static let name = "trial"
    static let purpose = "Tries the runtime."
    static let discussion = "Examples:\n  trial --act succeed"

    static let isExclusive = false

    let options: Options
    let settings: Settings

    func run(_ run: Run) async throws {
        let report = run.report
        report.declare(counts: "organizations", "columns_added")
        report.add(2, to: "organizations")
        switch options.act {
        case .succeed:
            report.line("as of \(run.now)\(run.isDryRun ? ", dry" : "")")
            report.table(header: ["slug", "n"], rows: [["acme", "7"]])
            report.attach("plan", .array([.string("create")]))
        case .failOne: report.fail("acme", "dataset is gone")
        case .breakDown: throw Breakdown()
        case .skip: throw RunSkipped("another execution holds the lease")
        case .misconfigured:
            throw ConfigurationError(["CATALOG_DIR: a.json is no JSON", "CATALOG_DIR: b.json is empty"])
        case .cancelItself: throw CancellationError()
        case .untilStopped: try await Self.sleepLong(report)
        case .finishWhenStopped: try? await Self.sleepLong(report)
        case .ignoreStop:
            await Task.detached { try? await Self.sleepLong(report) }.value
        case .failWhenStopped:
            try? await Self.sleepLong(report)
            throw Breakdown()
        }
    }

    private static func sleepLong(_ report: RunReport) async throws {
        report.line("started")
        try await Task.sleep(for: .seconds(3600))
    }
}
