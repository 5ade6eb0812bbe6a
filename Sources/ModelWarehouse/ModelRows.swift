import JobRuntime
import Warehouse

/// What statements do to the rows, and the notes of the rules. Each different question is answered once.
final class ModelRows {
    private struct Pair: Hashable {
        var first: Int32
        var second: Int32
    }

    struct Commit: Hashable {
        var effect: Int32
        var request: Int32
        var contents: Int32
        var notes: Int32
        var execution: Int32
        var isFresh: Bool
    }

    private struct Forgotten: Hashable {
        var execution: Int32
        var contents: Int32
        var notes: Int32
    }

    struct Committed {
        var contents: Int32
        var notes: Int32
        var violation: String?
    }

    private let scenario: any ModelScenario
    private let programs: ModelPrograms
    private let statements: ModelStatements
    private(set) var contents = Interned<ModelContents>()
    private(set) var notes = Interned<[Int]>()
    private(set) var effects = Interned<ModelEffect>()
    private var effectOf: [Pair: Int32] = [:]
    private var conflictOf: [Pair: Bool] = [:]
    private var committed: [Commit: Committed] = [:]
    private var forgotten: [Forgotten: Committed] = [:]
    var evaluations: Int { effectOf.count }

    init(_ scenario: any ModelScenario, _ programs: ModelPrograms) async throws {
        self.scenario = scenario
        self.programs = programs
        statements = try await ModelStatements(try scenario.tables)
    }

    func start(at time: Timestamp) -> (contents: Int32, notes: Int32) {
        var rows = statements.empty
        scenario.fill(&rows, at: time)
        return (contents.number(of: rows), notes.number(of: []))
    }

    func effect(_ request: Int32, on rows: Int32) async throws -> Int32 {
        let pair = Pair(first: request, second: rows)
        if let known = effectOf[pair] { return known }
        guard case .statement(let purpose, let sql, let parameters) = programs.requests[request] else {
            preconditionFailure("a pause has no effect")
        }
        var statement = Statement(purpose, sql)
        statement.parameters = parameters
        let found = effects.number(of: try await statements.effect(of: statement, on: contents[rows]))
        effectOf[pair] = found
        return found
    }

    func committed(_ commit: Commit) -> Committed {
        if let known = committed[commit] { return known }
        guard case .statement(let purpose, _, let parameters) = programs.requests[commit.request] else {
            preconditionFailure("a pause commits nothing")
        }
        let before = contents[commit.contents]
        var after = effects[commit.effect].committed(to: before)
        var list = notes[commit.notes]
        let (execution, attempt) = (Int(commit.execution) / 2, Int(commit.execution) % 2)
        let violation = scenario.committed(
            ModelCommit(
                execution: execution, attempt: attempt, name: programs.names[execution][attempt], purpose: purpose,
                before: before, parameters: parameters, isFresh: commit.isFresh), &after, &list)
        let done = Committed(
            contents: contents.number(of: after), notes: notes.number(of: list), violation: violation)
        committed[commit] = done
        return done
    }

    func conflicts(_ effect: Int32, with rows: Int32) -> Bool {
        let pair = Pair(first: effect, second: rows)
        if let known = conflictOf[pair] { return known }
        let found = effects[effect].conflicts(with: contents[rows])
        conflictOf[pair] = found
        return found
    }

    /// Nothing of an attempt is left.
    func forget(_ execution: Int, _ attempt: Int, _ rows: Int32, _ list: Int32) -> Committed {
        let key = Forgotten(execution: Int32(execution * 2 + attempt), contents: rows, notes: list)
        if let known = forgotten[key] { return known }
        var (rows, list) = (contents[rows], notes[list])
        scenario.forget(execution, attempt: attempt, &rows, &list)
        let done = Committed(contents: contents.number(of: rows), notes: notes.number(of: list))
        forgotten[key] = done
        return done
    }
}
