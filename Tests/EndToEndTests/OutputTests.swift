import EmbeddedWarehouse
import Foundation
import JobRuntime
import TestSupport
import Testing
import WarehouseKit

@Suite(.timeLimit(.minutes(30))) struct OutputTests {
    private func stage() async throws -> SQLiteStage {
        let stage = try SQLiteStage()
        try await stage.prepare(["acme", "bad-slug", "globex"])
        return stage
    }

    @Test func jsonPrintsOneLineWithDetails() async throws {
        for format in ["auto", "text", "json"] {
            let stage = try await stage()

            let outcome = try await stage.run(.orgSyncAll, "--json", with: ["LOG_FORMAT": format])

            let summary = try outcome.failed()
            #expect(outcome.outputLines.count == 1)
            guard case .object(let details) = summary.details, case .array(let datasets) = details["datasets"]
            else {
                Issue.record("no details: \(outcome.output)")
                return
            }
            #expect(
                datasets
                    == ["acme", "globex"].map { slug in
                        .object([
                            "subject": .string(slug), "dataset": .string("\(slug)_test"),
                            "outcome": .string("dataset created, 19 tables created"),
                        ])
                    })
            #expect(try outcome.logEntries().contains { $0["severity"] as? String == "ERROR" })
        }
    }

    /// Full, or closed: then its number must not go to another file, which would get the summary.
    @Test(arguments: [">/dev/full", ">&-", "<&- >&-"])
    func aSummaryThatIsNotTakenIsAFailureAndGoesToStandardError(_ redirections: String) async throws {
        let stage = try await stage()

        let job = try JobExecutable.orgSyncAll.start(
            ["--org", "acme"], redirected: redirections, environment: stage.environment)
        let outcome = try await job.outcome()

        #expect(outcome.ending == .exited(1))
        #expect(outcome.output.isEmpty)
        #expect(outcome.error.contains("standard output does not take the summary"))
        #expect(outcome.errorLines.last?.contains("\"status\":\"succeeded\"") == true)
    }

    @Test func withoutAnyOutputTheWorkIsDoneAllTheSame() async throws {
        let stage = try await stage()

        let job = try JobExecutable.orgSyncAll.start(
            ["--org", "acme"], redirected: "<&- >&- 2>&-", environment: stage.environment)

        #expect(try await job.outcome().ending == .exited(1))
        #expect(try await stage.run(.orgSyncAll, "--org", "acme").succeeded().changes == 0)
    }

    @Test func aDryRunsPlanIsAmongTheDetails() async throws {
        let stage = try await stage()

        let outcome = try await stage.run(
            .orgSyncAll, "--json", "--dry-run", "--log-level", "error", "--org", "acme")

        let summary = try outcome.succeeded()
        guard case .object(let details) = summary.details, case .object(let plan) = details["plan"],
            let group = plan["groups"]?.array?.first?.object
        else {
            Issue.record("no plan: \(outcome.output)")
            return
        }
        #expect(group["names"] == .array([.string("acme_test")]))
        #expect(group["changes"]?.array?.count == 20)
        #expect(group["changes"]?.array?.first == .string("+ would create dataset in US"))
        #expect(outcome.error.isEmpty)
    }

    @Test func logsAreJSONWithTheirOriginAndTheSummaryIsLast() async throws {
        let stage = try await stage()

        let outcome = try await stage.run(
            .orgSyncAll, "--log-level", "trace",
            with: ["CLOUD_RUN_JOB": "cloudact-org-sync-all", "CLOUD_RUN_EXECUTION": "org-sync-all-x1"])

        let summary = try outcome.failed()
        #expect(summary.job == "org-sync-all")
        #expect(outcome.outputLines.count == 1)
        let entries = try outcome.logEntries()
        #expect(!entries.isEmpty)
        for entry in entries {
            #expect(["DEBUG", "INFO", "NOTICE", "WARNING", "ERROR"].contains(entry["severity"] as? String))
            #expect((entry["message"] as? String)?.isEmpty == false)
            #expect((entry["time"] as? String)?.hasSuffix("Z") == true)
            let labels = entry["logging.googleapis.com/labels"] as? [String: String]
            #expect(labels?["job"] == "org-sync-all")
            #expect(labels?["execution"] == "org-sync-all-x1")
            let operation = entry["logging.googleapis.com/operation"] as? [String: String]
            #expect(operation?["id"] == "org-sync-all-x1")
        }
    }

    @Test func textTellsPeopleAndStillEndsWithTheSummary() async throws {
        let stage = try await stage()

        let outcome = try await stage.run(.orgSyncAll, with: ["LOG_FORMAT": "text"])

        let summary = try outcome.failed()
        #expect(summary.details == nil)
        #expect(outcome.output.contains("acme"))
        #expect(outcome.outputLines.dropLast().last?.hasPrefix("org-sync-all failed after ") == true)
        #expect(outcome.errorLines.contains { $0.contains(" ERROR ") && $0.contains("bad-slug") })
        #expect(!(outcome.output + outcome.error).contains("\u{1B}"))
    }

    @Test func aDryRunLeavesEveryByteAsItIs() async throws {
        let stage = try SQLiteStage()
        _ = try await stage.run(.bootstrap).succeeded()
        _ = try await stage.run(.demoData, "--organizations", "1").succeeded()
        let state = try await stage.state()
        let files = try stage.files()

        let outcome = try await stage.run(.orgSyncAll, "--dry-run", with: ["LOG_FORMAT": "text"])

        let summary = try outcome.succeeded()
        #expect(summary.dryRun)
        #expect(summary.counts["tables_created"] == 19)
        #expect(outcome.output.contains("    + dataset in US with 19 tables\n"))
        let after = try stage.files()
        #expect(after["warehouse.db"] == files["warehouse.db"])
        #expect(after["warehouse.db-wal"]?.isEmpty != false)
        #expect(try await stage.state() == state)
    }

    @Test func theInstantOfTheCommandLineIsTheRunsInstant() async throws {
        let stage = try await stage()

        let date = try await stage.run(.bootstrap, "--date", "2026-01-31").succeeded()
        let now = try await stage.run(.bootstrap, "--now", "2026-01-31T05:00:00+02:00").succeeded()

        #expect(date.now.hasPrefix("2026-01-31T00:00:00"))
        #expect(now.now.hasPrefix("2026-01-31T03:00:00"))
    }
}
