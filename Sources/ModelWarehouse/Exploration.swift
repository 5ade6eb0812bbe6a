package import JobRuntime
package import Warehouse

/// The world that an exploration starts from, and how much may go wrong in it.
package struct ModelBounds: Sendable {
    package var executions = 2
    /// Executions that are killed at any moment, or at the task timeout.
    package var crashes = 0
    /// Replies that the client never sees, and replies that come after the statement was sent and done again.
    package var lostReplies = 0
    /// Statements that the client gave up and that commit later.
    package var lateStatements = 0
    /// By how much the clock of each execution is ahead.
    package var clocks: [Duration] = [.zero, .seconds(20), .seconds(-20)]
    /// Whether Cloud Run starts a killed execution again, once.
    package var retries = true
    package var taskTimeout = Duration.seconds(600)
    /// How long a statement that has begun runs at most after its client is gone. It may begin at any later time.
    package var longestOrphan = Duration.seconds(60)
    package var mostStates = 20_000_000

    package init() {}

    package var description: String {
        "\(executions) executions, \(crashes) crashes, \(lostReplies) lost or repeated replies, "
            + "\(lateStatements) late statements, clocks "
            + clocks.prefix(executions).map { "\($0.components.seconds) s" }.joined(separator: " / ")
    }
}

/// The code under test, the contents at the start and the rules that must hold.
package protocol ModelScenario: Sendable {
    var bounds: ModelBounds { get }
    var tables: [(reference: TableReference, table: Table)] { get throws }
    /// The program of an attempt of an execution.
    func program(_ execution: Int, attempt: Int) -> ModelProgram
    /// The rows at the start.
    func fill(_ contents: inout ModelContents, at time: Timestamp)
    /// Instants in the rows at which something changes by itself, such as the expiry of a lease.
    func instants(in contents: ModelContents) -> [Timestamp]
    /// Called when a statement commits. Changes the notes that the rules need, and may drop rows that only the notes need.
    /// - Returns: The rule that the commit breaks.
    func committed(_ commit: ModelCommit, _ contents: inout ModelContents, _ notes: inout [Int]) -> String?
    /// - Returns: The rule that an execution breaks by ending so.
    func ended(_ outcome: String, of execution: Int, faults: Int, _ contents: ModelContents, _ notes: [Int]) -> String?
    /// - Returns: The rule that is broken when all has ended. `probe` is the outcome of one more execution, later and alone.
    func settled(_ contents: ModelContents, _ notes: [Int], at time: Timestamp, faults: Int, probe: String) -> String?
}

package struct ModelCommit {
    package var execution: Int
    package var attempt: Int
    package var name: String
    package var purpose: String
    package var before: ModelContents
    package var parameters: [SQLValue.Field]
    package var affectedRows: Int64
    /// Whether the statement read the newest rows. Otherwise it began before another commit.
    package var isFresh: Bool
}

/// What an exploration found.
package struct Findings: Sendable {
    package var states = 0
    package var transitions = 0
    package var depth = 0
    /// Ends in which nothing can happen anymore.
    package var ends = 0
    package var isExhaustive = false
    /// The broken rule, and the steps that lead to it.
    package var violation: String?
    package var schedule: [String] = []
    /// Different pairs of a statement and the rows it read: so often SQLite ran one.
    package var evaluations = 0
    /// How often the shipped code ran, up to its next request.
    package var replays = 0
}

/// Visits every state that the executions of a scenario can reach, breadth first.
///
/// A state is the rows, the time, and the replies that each execution got. A statement is one step, its commit: the moment of its
/// snapshot is not a step of its own, because a pending statement remembers each different effect that it would have had since
/// it was sent, and commits any one of them that does not conflict. So schedules that differ only in the order of snapshots and
/// of reads are one. States that were reached in two ways are visited once.
package struct Exploration {
    private let scenario: any ModelScenario
    private let bounds: ModelBounds
    private let engine: ModelEngine
    private let mutant: ModelMutant?
    package private(set) var findings = Findings()

    private var states: [ModelState: Int32] = [:]
    private var queue: [ModelState] = []
    private var origins: [(parent: Int32, step: ModelStep)] = []
    private var depths: [Int32] = []

    package init(_ scenario: any ModelScenario, mutant: ModelMutant? = nil) async throws {
        self.scenario = scenario
        bounds = scenario.bounds
        self.mutant = mutant
        engine = try await ModelEngine(scenario, mutant)
    }

    package mutating func run(within limit: Duration = .seconds(36_000)) async throws {
        let end = ContinuousClock.now + limit
        visit(engine.start(), from: -1, .timePasses)
        var index = 0
        while index < queue.count {
            let state = queue[index]
            let steps = try await engine.steps(from: state)
            for (step, next, violation) in steps {
                findings.transitions += 1
                visit(next, from: Int32(index), step)
                if let violation { return fail(violation, at: states[next]!, last: (Int32(index), step, next)) }
            }
            if steps.isEmpty {
                findings.ends += 1
                if let violation = try await engine.settled(state) {
                    return fail(violation, at: Int32(index), last: nil)
                }
            }
            index += 1
            if index % 1024 == 0, ContinuousClock.now > end || queue.count > bounds.mostStates { return count() }
        }
        findings.isExhaustive = true
        count()
    }

    private mutating func visit(_ state: ModelState, from parent: Int32, _ step: ModelStep) {
        guard states[state] == nil else { return }
        states[state] = Int32(queue.count)
        queue.append(state)
        origins.append((parent, step))
        depths.append(parent < 0 ? 0 : depths[Int(parent)] + 1)
    }

    private mutating func count() {
        findings.states = queue.count
        findings.depth = Int(depths.max() ?? 0)
        findings.evaluations = engine.evaluations
        findings.replays = engine.replays
    }

    /// - Parameter last: The step that broke the rule. Its state may have been reached in another way before.
    private mutating func fail(_ violation: String, at index: Int32, last: (Int32, ModelStep, ModelState)?) {
        count()
        findings.violation = violation
        var lines: [String] = []
        var index = index
        if let (parent, step, state) = last {
            lines.append(engine.words(for: step, to: state))
            index = parent
        }
        while index > 0 {
            let (parent, step) = origins[Int(index)]
            lines.append(engine.words(for: step, to: queue[Int(index)]))
            index = parent
        }
        findings.schedule = lines.reversed().enumerated().map { "\($0 + 1). \($1)" }
    }
}
