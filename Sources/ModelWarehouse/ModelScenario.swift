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
    /// Whether a pause ends only when something else changes, and after its own time where nothing else does.
    package var hasLongPauses = false
    /// Whether histories are one that the code cannot tell apart, as far as the scenario knows that.
    package var forgets = true
    package var taskTimeout = Duration.seconds(600)
    /// How long a statement that has begun runs at most after its client is gone. It may begin at any later time.
    package var longestOrphan = Duration.seconds(60)
    package var mostStates = 100_000_000

    package init() {}

    func clock(of execution: Int) -> Duration { execution < clocks.count ? clocks[execution] : .zero }

    package var description: String {
        "\(executions) executions, \(crashes) crashes, \(lostReplies) lost or repeated replies, "
            + "\(lateStatements) late statements, clocks "
            + (0..<executions).map { "\(clock(of: $0).components.seconds) s" }.joined(separator: " / ")
            + (retries ? "" : ", no new attempts") + (hasLongPauses ? ", long pauses" : "")
    }
}

/// The code under test, the contents at the start and the rules that must hold.
package protocol ModelScenario: Sendable {
    var bounds: ModelBounds { get }
    var tables: [(reference: TableReference, table: Table)] { get throws }
    /// The program of an attempt of an execution.
    func program(_ execution: Int, attempt: Int) -> ModelProgram
    /// What the code remembers before its first reply; `nil` if the scenario does not know what the code remembers.
    var memoryAtStart: [Int]? { get }
    /// What the code remembers after a reply, beside its next request. Two histories with the same memory and the same next request
    /// must lead to the same requests ever after. `number` stands for the reply and its time.
    func memory(_ memory: [Int], after request: String, _ reply: ModelReply.Content, number: Int) -> [Int]
    /// Whether two executions run the same program.
    func areAlike(_ one: Int, _ other: Int) -> Bool
    /// Whether an execution may be killed or cut off.
    func mayFail(_ execution: Int) -> Bool
    /// The rows at the start.
    func fill(_ contents: inout ModelContents, at time: Timestamp)
    /// Instants at which something changes by itself, such as the expiry of a lease.
    func instants(in contents: ModelContents) -> [Timestamp]
    /// Called when a statement commits. Changes the notes that the rules need, and may drop rows that only the notes need.
    /// - Returns: The rule that the commit breaks.
    func committed(_ commit: ModelCommit, _ contents: inout ModelContents, _ notes: inout [Int]) -> String?
    /// Called when an attempt has ended and nothing of it is left. Drops what nobody reads anymore.
    func forget(_ execution: Int, attempt: Int, _ contents: inout ModelContents, _ notes: inout [Int])
    /// - Returns: The rule that an execution breaks by ending so.
    func ended(
        _ outcome: String, of execution: Int, attempt: Int, faults: Int, _ contents: ModelContents, _ notes: [Int]
    ) -> String?
    /// - Parameters:
    ///   - probe: The outcome of one more execution, later and alone.
    ///   - after: The contents after it.
    /// - Returns: The rule that is broken when no execution goes on.
    func settled(
        _ contents: ModelContents, _ notes: [Int], at time: Timestamp, faults: Int, probe: String,
        _ after: ModelContents
    ) -> String?
}

extension ModelScenario {
    package var memoryAtStart: [Int]? { nil }
    package func memory(_ memory: [Int], after request: String, _ reply: ModelReply.Content, number: Int) -> [Int] {
        memory
    }
    package func forget(_ execution: Int, attempt: Int, _ contents: inout ModelContents, _ notes: inout [Int]) {}
}

package struct ModelCommit {
    package var execution: Int
    package var attempt: Int
    package var name: String
    package var purpose: String
    package var before: ModelContents
    package var parameters: [SQLValue.Field]
    /// Whether the statement read the newest rows. Otherwise it began before another commit.
    package var isFresh: Bool

    func parameter(_ name: String) -> SQLValue? { parameters.first { $0.name == name }?.value }
}

/// A fault that the rules must notice, in the scenario that shows it.
package struct ModelCase: Sendable {
    package var mutant: ModelMutant
    package var scenario: any ModelScenario
}
