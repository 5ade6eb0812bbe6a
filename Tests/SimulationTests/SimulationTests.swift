import Foundation
import TestSupport
import Testing

@testable import Simulation

/// Simulated days in processes of their own, because a simulated machine replaces the clock and the executor of its process.
@Suite struct SimulationTests {
    private let simulate = JobExecutable(product: "simulate", name: "simulate")

    @Test func theInvariantsHoldForTwoWeeks() async throws {
        let outcome = try await simulate.run(["--days", "14", "--seed", "11", "--quiet"])

        #expect(outcome.exitCode == 0, "\(outcome.output)")
        #expect(outcome.output.contains("no violation"))
    }

    @Test func theSameSeedTellsTheSameStory() async throws {
        let folder = try TemporaryFolder()
        var stories: [String] = []
        for name in ["first.jsonl", "second.jsonl"] {
            _ = try await simulate.run(["--days", "3", "--seed", "5", "--quiet", "--story", folder.file(name)])
            stories.append(try String(contentsOfFile: folder.file(name), encoding: .utf8))
        }

        #expect(stories[0] == stories[1])
        let kinds = Set(
            stories[0].split(separator: "\n").compactMap { line in
                (try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["kind"] as? String
            })
        #expect(kinds.isSuperset(of: ["run", "fault", "kill", "customer", "counters", "night"]))
    }

    @Test(arguments: PlantedBug.allCases)
    func aPlantedBugIsFound(_ bug: PlantedBug) async throws {
        let (seed, days) = Self.finds[bug]!
        let arguments = ["--days", "\(days)", "--seed", "\(seed)", "--no-shrink", "--quiet"]

        let planted = try await simulate.run(arguments + ["--bug", bug.rawValue])

        #expect(planted.exitCode == 1)
        #expect(planted.output.hasPrefix("seed \(seed), day \(days), "), "\(planted.output.prefix(300))")
    }

    /// Where each bug is found: the seed, and the day.
    static let finds: [PlantedBug: (seed: Int, day: Int)] = [:]

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
