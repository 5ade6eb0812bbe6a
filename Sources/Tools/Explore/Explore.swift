import ArgumentParser
import Foundation
import ModelWarehouse

/// Explores every interleaving of the lease's executions, and checks that each mutant is found. `scripts/explore.sh` runs it.
@main
struct Explore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explore", abstract: "Explores every interleaving of executions on a model of BigQuery.")

    @Option(help: "The number of executions.")
    var executions = 3
    @Option(help: "The most executions that are killed.")
    var crashes = 2
    @Option(help: "The most replies that are lost, or lost and sent again.")
    var lostReplies = 1
    @Option(help: "The most statements that commit after their client gave up.")
    var lateStatements = 1
    @Option(help: "LEASE_SECONDS; the task timeout is 600 s.")
    var leaseSeconds = 720
    @Option(help: "How long a statement that has begun runs at most without its client, in seconds.")
    var orphanSeconds = 60
    @Option(help: "The most states.")
    var states = 20_000_000
    @Option(help: "The most seconds.")
    var seconds = 36_000
    @Flag(help: "All clocks are equal.")
    var equalClocks = false
    @Flag(help: "A killed execution is not started again.")
    var noRetries = false
    @Flag(help: "Every other execution is of a second job, which takes the leases of both.")
    var twoJobs = false
    @Flag(help: "The table has no row at the start, so executions that meet may add one each.")
    var emptyTable = false
    @Flag(help: "Run the mutants and no exploration of the code itself.")
    var mutants = false

    func run() async throws {
        var bounds = ModelBounds()
        bounds.executions = executions
        bounds.crashes = crashes
        bounds.lostReplies = lostReplies
        bounds.lateStatements = lateStatements
        bounds.longestOrphan = .seconds(orphanSeconds)
        bounds.mostStates = states
        bounds.retries = !noRetries
        if equalClocks { bounds.clocks = bounds.clocks.map { _ in .zero } }
        if mutants {
            try await score(bounds)
        } else {
            try await explore(
                LeaseScenario(bounds, validity: .seconds(leaseSeconds), hasTwoJobs: twoJobs, isEmpty: emptyTable))
        }
    }

    private func explore(_ scenario: LeaseScenario) async throws {
        print(
            "lease\(twoJobs ? " of two jobs" : "")\(emptyTable ? ", no row yet" : ""): \(scenario.bounds.description); LEASE_SECONDS \(leaseSeconds)"
        )
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

    private func score(_ bounds: ModelBounds) async throws {
        var survivors = 0
        for (mutant, needsTwoJobs) in LeaseScenario.mutants {
            let begin = ContinuousClock.now
            var exploration = try await Exploration(
                LeaseScenario(
                    bounds, validity: .seconds(leaseSeconds), hasTwoJobs: needsTwoJobs,
                    isEmpty: emptyTable || needsTwoJobs),
                mutant: mutant)
            try await exploration.run(within: .seconds(60))
            let found = exploration.findings
            let time = ContinuousClock.now - begin
            if found.violation == nil { survivors += 1 }
            defer { fflush(nil) }
            print(
                "\(found.violation == nil ? "SURVIVED" : "killed") | \(mutant.name) | \(time.formatted(.units(allowed: [.seconds], fractionalPart: .show(length: 1)))) | "
                    + "\(found.states) states | \(found.violation ?? "")")
        }
        if survivors > 0 { throw ExitCode(1) }
    }
}
