import Testing

@testable import ModelWarehouse

/// Small bounds, each visited to its end. `scripts/explore.sh` visits larger ones; docs/reliability.md has their results.
@Suite struct LeaseExplorationTests {
    static func bounds(
        _ executions: Int, crashes: Int = 0, lostReplies: Int = 0, lateStatements: Int = 0
    ) -> ModelBounds {
        var bounds = ModelBounds()
        bounds.executions = executions
        bounds.crashes = crashes
        bounds.lostReplies = lostReplies
        bounds.lateStatements = lateStatements
        bounds.retries = false
        bounds.hasLongPauses = true
        return bounds
    }

    @Test(arguments: [
        bounds(3), bounds(2, crashes: 1), bounds(2, lostReplies: 1), bounds(2, lateStatements: 1),
    ])
    func noRuleIsBrokenInAnyOrder(_ bounds: ModelBounds) async throws {
        var exploration = try await Exploration(LeaseScenario(bounds))

        try await exploration.run()

        let found = exploration.findings
        #expect(found.violation == nil, "\(found.schedule.joined(separator: "\n"))")
        #expect(found.isExhaustive)
        #expect(found.states > 100)
        #expect(found.ends > 5)
    }

    @Test func noRuleIsBrokenWithoutARowAndWithTwoJobs() async throws {
        var exploration = try await Exploration(LeaseScenario(Self.bounds(2), hasTwoJobs: true, isEmpty: true))

        try await exploration.run()

        #expect(exploration.findings.violation == nil)
        #expect(exploration.findings.isExhaustive)
    }

    /// Each mutant at bounds that suffice.
    @Test(arguments: LeaseScenario.mutants(bounds(2, crashes: 1, lateStatements: 1), validity: .seconds(780)))
    func everyMutantIsFound(_ example: ModelCase) async throws {
        var exploration = try await Exploration(example.scenario, mutant: example.mutant)

        try await exploration.run()

        #expect(exploration.findings.violation != nil, "\(example.mutant.name) survives")
        #expect(!exploration.findings.schedule.isEmpty)
    }

    /// The lease of this schedule ends a minute after the task, and its statement may run for two.
    @Test func aCounterExampleIsAScheduleThatAPersonCanRead() async throws {
        var bounds = Self.bounds(2, crashes: 1)
        bounds.clocks = [.zero]
        bounds.hasLongPauses = false
        bounds.longestOrphan = .seconds(120)
        var exploration = try await Exploration(LeaseScenario(bounds, validity: .seconds(660)))

        try await exploration.run()

        #expect(exploration.findings.violation == "A wrote although it did not hold the lease")
        #expect(
            exploration.findings.schedule.joined(separator: "\n") == """
                1. after 0 s: execution A starts
                2. after 0 s: execution A: "take the lease of quota-reset-daily" changes 1 rows
                3. after 600 s: time passes
                4. after 600 s: execution A is killed during "write the first row"
                5. after 660 s: time passes
                6. after 660 s: execution B starts
                7. after 660 s: execution B: "take the lease of quota-reset-daily" changes 1 rows
                8. after 660 s: "write the first row" of execution A, which nobody waits for, changes 1 rows
                """)
    }

    /// What the code has forgotten changes nothing: the same rows are reached at the ends.
    @Test(arguments: [bounds(2, crashes: 1), bounds(2, lostReplies: 1)])
    func historiesThatTheCodeCannotTellApartLeadToTheSameEnds(_ bounds: ModelBounds) async throws {
        var whole = bounds
        whole.forgets = false
        var (short, long) = (try await Exploration(LeaseScenario(bounds)), try await Exploration(LeaseScenario(whole)))

        try await short.run()
        try await long.run()

        #expect(long.findings.isExhaustive && long.findings.violation == nil)
        #expect(short.findings.lastRows == long.findings.lastRows)
        #expect(short.findings.states < long.findings.states)
    }
}
