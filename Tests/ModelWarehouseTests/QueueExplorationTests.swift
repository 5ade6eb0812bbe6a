import Testing

@testable import ModelWarehouse

/// Runs of the queue's job, and a customer who changes the plan.
@Suite struct QueueExplorationTests {
    static func bounds(_ executions: Int, crashes: Int = 0, lostReplies: Int = 0) -> ModelBounds {
        var bounds = LeaseExplorationTests.bounds(executions, crashes: crashes, lostReplies: lostReplies)
        bounds.clocks = [.zero]
        return bounds
    }

    @Test(arguments: [bounds(2, crashes: 1), bounds(2, lostReplies: 1)])
    func noRuleIsBrokenInAnyOrder(_ bounds: ModelBounds) async throws {
        var exploration = try await Exploration(try QueueScenario(bounds))

        try await exploration.run()

        let found = exploration.findings
        #expect(found.violation == nil, "\(found.schedule.joined(separator: "\n"))")
        #expect(found.isExhaustive)
        #expect(found.states > 100)
        #expect(found.ends > 5)
    }

    @Test(arguments: try QueueScenario.mutants())
    func everyMutantIsFound(_ example: ModelCase) async throws {
        var exploration = try await Exploration(example.scenario, mutant: example.mutant)

        try await exploration.run()

        #expect(exploration.findings.violation != nil, "\(example.mutant.name) survives")
    }
}
