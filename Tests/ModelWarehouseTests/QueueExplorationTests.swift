import Testing

@testable import ModelWarehouse

/// Runs of the queue's job, and a customer who changes the plan.
@Suite struct QueueExplorationTests {
    @Test(arguments: [0, 1])
    func noRuleIsBrokenInAnyOrder(lostReplies: Int) async throws {
        var bounds = LeaseExplorationTests.bounds(2, lostReplies: lostReplies)
        bounds.clocks = [.zero]
        var scenario = try QueueScenario(bounds)
        scenario.seconds = 0
        var exploration = try await Exploration(scenario)

        try await exploration.run()

        let found = exploration.findings
        #expect(found.violation == nil, "\(found.schedule.joined(separator: "\n"))")
        #expect(found.isExhaustive)
        #expect(found.states > 100)
        #expect(found.ends > 1)
    }

    @Test(arguments: try QueueScenario.mutants())
    func everyMutantIsFound(_ example: ModelCase) async throws {
        var exploration = try await Exploration(example.scenario, mutant: example.mutant)

        try await exploration.run()

        #expect(exploration.findings.violation != nil, "\(example.mutant.name) survives")
    }
}
