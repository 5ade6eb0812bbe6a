import ArgumentParser
import Foundation
import ModelWarehouse

/// Explores every interleaving of the executions of a scenario, and checks that each mutant is found. `scripts/explore.sh` runs it.
@main
struct Explore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explore", abstract: "Explores every interleaving of executions on a model of BigQuery.")

    enum Scenario: String, ExpressibleByArgument, CaseIterable {
        case lease, queue
    }

    @Option(help: "lease or queue.")
    var scenario = Scenario.lease
    @Option(help: "The number of executions. Of the queue, the last one is the customer.")
    var executions = 3
    @Option(help: "The most executions that are killed.")
    var crashes = 2
    @Option(help: "The most replies that are lost, or lost and sent again.")
    var lostReplies = 1
    @Option(help: "The most statements that commit after their client gave up.")
    var lateStatements = 1
    @Option(help: "LEASE_SECONDS; the task timeout is 600 s.")
    var leaseSeconds = 780
    @Option(help: "How long a statement that has begun runs at most without its client, in seconds.")
    var orphanSeconds = 60
    @Option(help: "How far each execution's clock is ahead, in seconds, with commas.")
    var clocks = "0,20,-20"
    @Option(help: "The seconds at the beginning at which something may happen, after the first one; for the queue.")
    var ticks = 2
    @Option(help: "The most states. A state takes about 30 bytes, and 60 more while it waits.")
    var states = 100_000_000
    @Option(help: "The most seconds.")
    var seconds = 36_000
    @Flag(help: "A killed execution is not started again.")
    var noRetries = false
    @Flag(help: "A pause ends when something else changes, and after its own time only where nothing else does.")
    var longPauses = false
    @Flag(help: "Histories are different even where the code cannot tell them apart.")
    var keepHistories = false
    @Flag(help: "Every other execution is of a second job, which takes the leases of both.")
    var twoJobs = false
    @Flag(help: "The table has no row at the start, so executions that meet may add one each.")
    var emptyTable = false
    @Flag(help: "Run the mutants and no exploration of the code itself. Those of the queue have bounds of their own.")
    var mutants = false

    func validate() throws {
        let times = clocks.split(separator: ",").map { Int($0) }
        guard !times.isEmpty, times.allSatisfy({ $0.map { abs($0) < 900 } ?? false }) else {
            throw ValidationError("--clocks is a list of seconds such as 0,20,-20")
        }
        guard (1...4).contains(executions), (0...3).contains(crashes), (0...3).contains(lostReplies),
            (0...3).contains(lateStatements)
        else { throw ValidationError("1 to 4 executions, and 0 to 3 faults of each kind") }
    }

    private var bounds: ModelBounds {
        var bounds = ModelBounds()
        bounds.executions = executions
        bounds.crashes = crashes
        bounds.lostReplies = lostReplies
        bounds.lateStatements = lateStatements
        bounds.longestOrphan = .seconds(orphanSeconds)
        bounds.mostStates = states
        bounds.retries = !noRetries
        bounds.hasLongPauses = longPauses
        bounds.forgets = !keepHistories
        bounds.clocks = clocks.split(separator: ",").map { .seconds(Int($0)!) }
        return bounds
    }

    func run() async throws {
        let validity = Duration.seconds(leaseSeconds)
        switch (scenario, mutants) {
        case (.lease, true): try await score(LeaseScenario.mutants(bounds, validity: validity))
        case (.queue, true): try await score(try QueueScenario.mutants())
        case (.lease, false):
            try await explore(
                LeaseScenario(bounds, validity: validity, hasTwoJobs: twoJobs, isEmpty: emptyTable),
                "lease of \(leaseSeconds) s\(twoJobs ? ", two jobs" : "")\(emptyTable ? ", no row yet" : "")")
        case (.queue, false):
            var scenario = try QueueScenario(bounds)
            scenario.seconds = ticks
            try await explore(scenario, "queue, \(ticks) more seconds")
        }
    }

    private func explore(_ scenario: any ModelScenario, _ title: String) async throws {
        print("\(title): \(scenario.bounds.description)")
        let begin = ContinuousClock.now
        var exploration = try await Exploration(scenario)
        try await exploration.run(within: .seconds(seconds))
        let found = exploration.findings
        let time = (ContinuousClock.now - begin).components.seconds
        print(
            "\(found.states) states, \(found.transitions) transitions, \(found.ends) ends, depth \(found.depth), \(time) s; "
                + "\(found.replays) replays of the code, \(found.evaluations) statements on SQLite")
        if let violation = found.violation {
            print("VIOLATION: \(violation)")
            print(found.schedule.joined(separator: "\n"))
            throw ExitCode(1)
        }
        print(
            found.isExhaustive
                ? "every state was visited; no rule is broken" : "STOPPED at the limit; no rule was broken so far")
        if !found.isExhaustive { throw ExitCode(75) }
    }

    private func score(_ cases: [ModelCase]) async throws {
        var survivors = 0
        for example in cases {
            let begin = ContinuousClock.now
            var exploration = try await Exploration(example.scenario, mutant: example.mutant)
            try await exploration.run(within: .seconds(60))
            let found = exploration.findings
            let time = (ContinuousClock.now - begin).formatted(
                .units(allowed: [.seconds], fractionalPart: .show(length: 1)))
            if found.violation == nil { survivors += 1 }
            defer { fflush(nil) }
            let result = found.violation == nil ? "SURVIVED" : "killed"
            print("\(result) | \(example.mutant.name) | \(time) | \(found.states) states | \(found.violation ?? "")")
        }
        if survivors > 0 { throw ExitCode(1) }
    }
}
