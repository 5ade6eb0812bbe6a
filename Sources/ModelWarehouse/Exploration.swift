/// What an exploration found.
package struct Findings: Sendable {
    package var states = 0
    package var transitions = 0
    package var depth = 0
    /// States in which no execution goes on.
    package var ends = 0
    package var isExhaustive = false
    /// The broken rule, and the steps that lead to it.
    package var violation: String?
    package var schedule: [String] = []
    /// Different pairs of a statement and the rows it read: so often SQLite ran one.
    package var evaluations = 0
    /// How often the shipped code ran, up to its next request.
    package var replays = 0
    /// The different rows at the ends.
    package var lastRows: Set<ModelContents> = []
}

/// Visits every state that the executions of a scenario can reach, breadth first, so that a schedule has as few steps as possible.
///
/// A state is the rows, the time, and the replies that each execution got. A statement is one step, its commit: the moment of its
/// snapshot is not a step of its own, because a pending statement remembers each different effect that it would have had since
/// it was sent, and commits any one of them that does not conflict. So schedules that differ only in the order of snapshots and
/// of reads are one. ``ModelEngine`` leaves out more steps. States that were reached in two ways are visited once.
package struct Exploration {
    /// The states of one depth, each with its number.
    private struct Level {
        var bytes: [UInt8] = []

        mutating func append(_ number: UInt32, _ state: [UInt8]) {
            precondition(state.count < 1 << 16, "the state is larger than expected")
            for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: number >> UInt32(shift))) }
            for shift in [0, 8] { bytes.append(UInt8(truncatingIfNeeded: state.count >> shift)) }
            bytes += state
        }

        func read(at position: inout Int, executions: Int) -> (number: UInt32, state: ModelState) {
            let number = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[position + $1]) << UInt32(8 * $1) }
            let count = Int(bytes[position + 4]) | Int(bytes[position + 5]) << 8
            let state = ModelState(bytes[(position + 6)..<(position + 6 + count)], executions: executions)
            position += 6 + count
            return (number, state)
        }
    }

    private let scenario: any ModelScenario
    private let bounds: ModelBounds
    private let engine: ModelEngine
    package private(set) var findings = Findings()
    private var visited = VisitedStates()

    package init(_ scenario: any ModelScenario, mutant: ModelMutant? = nil) async throws {
        self.scenario = scenario
        bounds = scenario.bounds
        engine = try await ModelEngine(scenario, mutant)
    }

    package mutating func run(within limit: Duration = .seconds(36_000)) async throws {
        let end = ContinuousClock.now + limit
        var (level, next) = (Level(), Level())
        visit(engine.start(), from: VisitedStates.none, &level)
        var expanded = 0
        while !level.bytes.isEmpty {
            var position = 0
            while position < level.bytes.count {
                let (number, state) = level.read(at: &position, executions: bounds.executions)
                let steps = try await engine.steps(from: state)
                for (step, successor, violation) in steps {
                    findings.transitions += 1
                    if let violation { return try await fail(violation, at: number, last: (step, successor)) }
                    visit(successor, from: number, &next)
                }
                if state.isOver {
                    findings.ends += 1
                    if let violation = try await engine.settled(state) {
                        return try await fail(violation, at: number, last: nil)
                    }
                }
                expanded += 1
                if expanded % 1024 == 0, ContinuousClock.now > end || visited.count > bounds.mostStates {
                    return count()
                }
            }
            findings.depth += next.bytes.isEmpty ? 0 : 1
            (level, next) = (next, Level())
        }
        findings.isExhaustive = true
        count()
    }

    private mutating func visit(_ state: ModelState, from parent: UInt32, _ level: inout Level) {
        let bytes = state.bytes()
        guard let number = visited.insert(VisitedStates.Fingerprint(of: bytes), from: parent) else { return }
        level.append(number, bytes)
    }

    private mutating func count() {
        findings.states = visited.count
        findings.evaluations = engine.rows.evaluations
        findings.replays = engine.programs.replays
        findings.lastRows = engine.lastRows
    }

    /// Finds the steps again that led to a state.
    private mutating func fail(
        _ violation: String, at number: UInt32, last: (step: ModelStep, state: ModelState)?
    ) async throws {
        count()
        findings.violation = violation
        var path: [UInt32] = []
        var place = number
        while place != VisitedStates.none {
            path.append(place)
            place = visited.parent(of: place)
        }
        var state = engine.start()
        var lines: [String] = []
        for number in path.reversed().dropFirst() {
            let wanted = visited.fingerprint(of: number)
            let found = try await engine.steps(from: state).first {
                VisitedStates.Fingerprint(of: $0.state.bytes()) == wanted
            }
            guard let (step, next, _) = found else { preconditionFailure("a state has no way to it") }
            lines.append(engine.words(for: step, to: next))
            state = next
        }
        if let last { lines.append(engine.words(for: last.step, to: last.state)) }
        findings.schedule = lines.enumerated().map { "\($0 + 1). \($1)" }
    }
}
