import Foundation
import TestSupport
import Testing

@testable import Simulation

/// Simulated days in processes of their own, because a simulated machine replaces the clock and the executor of its process.
@Suite struct SimulationTests {
    private let simulate = JobExecutable(product: "simulate", name: "simulate")

    @Test func theInvariantsHoldAndTheSameSeedTellsTheSameStory() async throws {
        let folder = try TemporaryFolder()
        var stories: [String] = []
        for name in ["first.jsonl", "second.jsonl"] {
            let outcome = try await simulate.run([
                "--days", "3", "--seed", "5", "--quiet", "--story", folder.file(name),
            ])
            #expect(outcome.exitCode == 0, "\(outcome.output)")
            #expect(outcome.output.hasSuffix("no violation\n"))
            stories.append(try String(contentsOfFile: folder.file(name), encoding: .utf8))
        }

        #expect(stories[0] == stories[1])
        let kinds = Set(
            stories[0].split(separator: "\n").compactMap { line in
                (try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["kind"] as? String
            })
        #expect(kinds.isSuperset(of: ["run", "fault", "kill", "customer", "counters", "night"]))
    }

    /// The bugs that a seed shows within three days. docs/reliability.md has the others.
    @Test(arguments: [
        (PlantedBug.resetToZero, 1, 2, "counters"), (.ignoreLease, 8, 1, "leases"), (.doneBeforeWritten, 3, 3, "queue"),
        (.auditForgotten, 1, 1, "audit"), (.firstOrganizationOnly, 1, 1, "schemas"),
    ])
    func aPlantedBugIsFound(_ bug: PlantedBug, _ seed: Int, _ day: Int, _ invariant: String) async throws {
        let outcome = try await simulate.run([
            "--days", "\(day)", "--seed", "\(seed)", "--no-shrink", "--quiet", "--bug", bug.rawValue,
        ])

        #expect(outcome.exitCode == 1)
        let line = outcome.output.prefix { $0 != "\n" }
        #expect(line.hasPrefix("seed \(seed), day \(day), ") && line.contains("Z: \(invariant): "), "\(line)")
    }

    @Test func aStoryOfOneEventReplays() async throws {
        let arguments = [
            "--days", "2", "--seed", "1", "--no-shrink", "--quiet", "--bug", "unknown-is-success", "--only",
        ]

        let withIt = try await simulate.run(arguments + ["1.12"])
        let without = try await simulate.run(arguments + ["1.0"])

        #expect(withIt.exitCode == 1)
        #expect(withIt.output.contains("counters: globex has 0 rows of 2026-03-02"))
        #expect(without.exitCode == 0, "\(without.output)")
    }

    @Test func onlyTheElementsThatMatterAreLeft() {
        let all = (0..<100).map(String.init)
        var trials = 0

        let left = Shrinking.fewest(of: all) { part in
            trials += 1
            return part.contains("7") && part.contains("42") && part.contains("99")
        }

        #expect(left == ["7", "42", "99"])
        #expect(trials < 100)
    }

    @Test func nothingIsLeftWhereNothingMatters() {
        #expect(Shrinking.fewest(of: ["1", "2"]) { _ in true } == [])
    }

    @Test func theSchedulesAreThoseOfJobsYAML() throws {
        let file = try String(contentsOfFile: Repository.path("jobs.yaml"), encoding: .utf8)
        for schedule in Schedule.all {
            let section = try #require(
                file.components(separatedBy: "  - name: ").first { $0.hasPrefix("\(schedule.job)\n") })
            func value(_ key: String) -> String? {
                section.split(separator: "\n").first { $0.hasPrefix("    \(key): ") }
                    .map { $0.dropFirst(6 + key.count).trimmingCharacters(in: ["\""]) }
            }
            #expect(value("schedule") == schedule.cron ?? "manual")
            let units = ["h": 3600, "m": 60]
            let timeout = value("timeout") ?? "10m"
            #expect(Int(timeout.dropLast()).map { $0 * units[String(timeout.suffix(1))]! } == schedule.timeout)
            #expect(value("retries") ?? "1" == "\(schedule.retries)")
        }
    }
}
