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
        static let environmentHelp = [(name: "TRIAL_PROJECT", text: "The project to try.")]
        let project: String
        let limit: Int
        let key: Secret?

        init(reading environment: inout EnvironmentReader) {
            project = environment.string("TRIAL_PROJECT", default: "none", expected: "a project id") {
                $0.contains(";") ? "contains a semicolon" : nil
            }
            limit = environment.integer("TRIAL_LIMIT", default: 3, in: 1...9)
            key = environment.secret("TRIAL_KEY")
        }
    }

    struct Breakdown: Error, CustomStringConvertible {
        let description = "the warehouse burnt down"
    }

    static let name = "trial"
    static let purpose = "Tries the runtime."
    static let discussion = "Examples:\n  trial --act succeed"

    static func run(in context: JobContext<Self>) async throws {
        let report = context.report
        report.declare(counts: "organizations", "columns_added")
        report.add(2, to: "organizations")
        switch context.options.act {
        case .succeed:
            report.line("as of \(context.now)\(context.isDryRun ? ", dry" : "")")
            report.table(header: ["slug", "n"], rows: [["acme", "7"]])
            report.attach("plan", .array([.string("create")]))
        case .failOne: report.fail("acme", "dataset is gone")
        case .breakDown: throw Breakdown()
        case .skip: report.skip("another execution holds the lease")
        case .misconfigured:
            throw ConfigurationError(["CATALOG_DIR: a.json is no JSON", "CATALOG_DIR: b.json is empty"])
        case .cancelItself: throw CancellationError()
        case .untilStopped: try await sleepLong(report)
        case .finishWhenStopped: try? await sleepLong(report)
        case .ignoreStop:
            await Task.detached { try? await sleepLong(report) }.value
        case .failWhenStopped:
            try? await sleepLong(report)
            throw Breakdown()
        }
    }

    private static func sleepLong(_ report: RunReport) async throws {
        report.line("started")
        try await Task.sleep(for: .seconds(3600))
    }
}
