import ArgumentParser
import Foundation
import Simulation

/// Runs simulated years. `scripts/simulate.sh` is its usual way in, and its help describes the options.
@main
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "Runs the nine jobs in a simulated world.")

    @Option(help: "The number of years, one world each.") var years = 1
    @Option(help: "Days of each world instead of a year.") var days = 365
    @Option(help: "The seed of the first world; each further one adds 1.") var seed: UInt64 = 1
    @Option(help: "Write the story as JSON lines.") var story: String?
    @Option(help: "Plant a bug; list shows them.") var bug: String?
    @Option(help: "Only these fates, with commas between them.") var only: String?
    @Flag(help: "Run every tick of the frequent jobs, also where one would only read.") var everyTick = false
    @Flag(help: "Do not shrink the story of a violation.") var noShrink = false
    @Flag(help: "Print nothing but violations and the last line.") var quiet = false

    func run() throws {
        // Swift's dictionaries have another order in each process unless this is set before it starts.
        if ProcessInfo.processInfo.environment["SWIFT_DETERMINISTIC_HASHING"] == nil {
            setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
            var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) } + [nil]
            execv("/proc/self/exe", &arguments)
            throw CleanExit.message("cannot start again: \(String(cString: strerror(errno)))")
        }
        if bug == "list" {
            for bug in PlantedBug.allCases { print("\(bug.rawValue): \(bug.explanation)") }
            return
        }
        let start = ContinuousClock.now
        var total = World.Counts()
        for year in 0..<years {
            var plan = World.Plan(seed: seed + UInt64(year), days: days)
            plan.keepsStory = story != nil
            plan.runsEveryTick = everyTick
            plan.only = only.map { Set($0.split(separator: ",").map(String.init)) }
            if let bug {
                guard let planted = PlantedBug(rawValue: bug) else {
                    throw ValidationError("there is no bug \(bug); try --bug list")
                }
                plan.bug = planted
            }
            if !quiet, isatty(STDERR_FILENO) == 1 {
                let (all, name) = (days, "\(year + 1) of \(years), seed \(plan.seed)")
                plan.onNight = { note("\ryear \(name): day \($0 + 1) of \(all) ") }
            }
            let result = try World(plan).run()
            if !quiet, isatty(STDERR_FILENO) == 1 { note("\r\u{1B}[K") }
            if let story { try Data(result.story.utf8).write(to: URL(filePath: story)) }
            if let violation = result.violation {
                try report(violation, plan, result)
                throw ExitCode(1)
            }
            total.add(result.counts)
            if !quiet { print("seed \(plan.seed): \(result.counts.summary): every invariant held") }
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        print("\(total.summary) in \(String(format: "%.1f", seconds)) s: no violation")
    }

    private func report(_ violation: World.Violation, _ plan: World.Plan, _ result: World.Result) throws {
        print("seed \(plan.seed), day \(violation.day + 1), \(violation.at): \(violation.invariant): \(violation.text)")
        guard !noShrink else { return print(result.lastNight, terminator: "") }
        var shrinking = Shrinking(plan, violation)
        if isatty(STDERR_FILENO) == 1 { shrinking.onTrial = { note("\rshrinking: trial \($0), \($1) fates left ") } }
        let (fates, shortest) = try shrinking.shortest(of: result.counts.fates)
        if isatty(STDERR_FILENO) == 1 { note("\r\u{1B}[K") }
        print("shortest story, \(fates.count) of \(result.counts.fates.count) fates, its last 36 hours:\n")
        print(shortest.lastNight, terminator: "")
        if let violation = shortest.violation { print("\n\(violation.at): \(violation.invariant): \(violation.text)") }
        var command =
            "scripts/simulate.sh --days \(violation.day + 1) --seed \(plan.seed) --only '\(fates.joined(separator: ","))'"
        if let bug = plan.bug { command += " --bug \(bug.rawValue)" }
        print("\nreplay: \(command)")
    }
}

private func note(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }

extension World.Counts {
    mutating func add(_ other: World.Counts) {
        days += other.days
        runs += other.runs
        leftOut += other.leftOut
        kills += other.kills
        faults += other.faults
        requests += other.requests
        pipelines += other.pipelines
        exits.merge(other.exits, uniquingKeysWith: +)
    }

    var summary: String {
        let codes = exits.sorted { $0.key < $1.key }.map { "\($0.value) x \($0.key)" }.joined(separator: ", ")
        return
            "\(days) days, \(runs) runs (exits \(codes)), \(leftOut) ticks without work left out, \(requests) requests, "
            + "\(faults) faults, \(kills) kills, \(pipelines) pipelines"
    }
}
