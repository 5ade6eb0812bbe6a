import JobRuntime
import Warehouse

/// The steps that are possible in a state.
final class ModelEngine {
    typealias Successor = (step: ModelStep, state: ModelState, violation: String?)

    private struct History: Hashable {
        var parent: Int32
        /// The number of the reply; of the first node, the program.
        var value: Int32
        var start: Timestamp?
    }

    private struct Pair: Hashable {
        var first: Int32
        var second: Int32
    }

    private let scenario: any ModelScenario
    private let bounds: ModelBounds
    private let mutant: ModelMutant?
    private let statements: ModelStatements
    private var contents = Interned<ModelContents>()
    private var requests = Interned<ModelRequest>()
    private var effects = Interned<ModelEffect>()
    private var replies = Interned<ModelReply>()
    private var histories = Interned<History>()
    private var progress: [Int32: ModelProgress] = [:]
    private var effectOf: [Pair: Int32] = [:]
    private(set) var replays = 0
    var evaluations: Int { effectOf.count }

    static let beginning = Timestamp("2026-01-31T00:05:00Z")!

    init(_ scenario: any ModelScenario, _ mutant: ModelMutant?) async throws {
        self.scenario = scenario
        self.mutant = mutant
        bounds = scenario.bounds
        statements = try await ModelStatements(try scenario.tables)
    }

    func start() -> ModelState {
        var rows = statements.empty
        scenario.fill(&rows, at: Self.beginning)
        return ModelState(
            contents: contents.number(of: rows), time: Self.beginning,
            executions: Array(repeating: ModelState.Execution(), count: bounds.executions))
    }

    // MARK: the shipped code

    private func clock(_ execution: Int, _ time: Timestamp) -> Timestamp {
        time.adding(execution < bounds.executions ? bounds.clocks[execution] : .zero)
    }

    private func begin(_ execution: Int, attempt: Int, at time: Timestamp) -> Int32 {
        histories.number(
            of: History(parent: -1, value: Int32(execution * 2 + attempt), start: clock(execution, time)))
    }

    private func next(_ history: Int32) async -> ModelProgress {
        if let known = progress[history] { return known }
        var list: [ModelReply] = []
        var node = histories[history]
        while node.parent >= 0 {
            list.append(replies[node.value])
            node = histories[node.parent]
        }
        replays += 1
        let program = scenario.program(Int(node.value) / 2, attempt: Int(node.value) % 2)
        let found = await program.next(after: list.reversed(), startedAt: node.start!, mutant)
        progress[history] = found
        return found
    }

    private func effect(_ request: Int32, on rows: Int32) async throws -> Int32 {
        let pair = Pair(first: request, second: rows)
        if let known = effectOf[pair] { return known }
        guard case .statement(let purpose, let sql, let parameters) = requests[request] else {
            preconditionFailure("a pause has no effect")
        }
        var statement = Statement(purpose, sql)
        statement.parameters = parameters
        let computed = try await statements.effect(of: statement, on: contents[rows])
        let found = effects.number(of: computed)
        effectOf[pair] = found
        return found
    }

    /// The execution gets a reply and goes on to its next request or its end.
    private func reply(
        _ content: ModelReply.Content, to index: Int, in state: inout ModelState
    ) async -> String? {
        let reply = replies.number(of: ModelReply(content: content, time: clock(index, state.time)))
        let history = histories.number(
            of: History(parent: state.executions[index].history, value: reply, start: nil))
        return await proceed(index, with: history, in: &state)
    }

    private func proceed(_ index: Int, with history: Int32, in state: inout ModelState) async -> String? {
        state.executions[index].history = history
        state.executions[index].older = []
        state.executions[index].isRepeated = false
        state.executions[index].wakes = nil
        switch await next(history) {
        case .request(.sleep(let duration)):
            state.executions[index].wakes = state.time.adding(duration)
            return nil
        case .request: return nil
        case .ended(let outcome):
            let attempt = state.executions[index].attempt
            state.executions[index] = ModelState.Execution(phase: .over, attempt: attempt)
            return scenario.ended(
                outcome, of: index, faults: state.faults, contents[state.contents], state.notes)
        }
    }

    // MARK: steps

    func steps(from state: ModelState) async throws -> [Successor] {
        var found: [Successor] = []
        for (index, execution) in state.executions.enumerated() {
            switch execution.phase {
            case .over: continue
            case .waiting: await addStart(of: index, in: state, &found)
            case .running: try await addSteps(of: index, execution, in: state, &found)
            }
        }
        for (index, orphan) in state.orphans.enumerated() {
            var gone = state
            gone.orphans.remove(at: index)
            found.append((.orphanVanishes(orphan.execution, request: orphan.request), gone, nil))
            for (effect, isFresh) in try await choices(orphan.request, orphan.older, state) {
                var next = gone
                let violation = try await commit(
                    effect, of: orphan.request, by: orphan.execution, orphan.attempt, isFresh, isOrphan: true,
                    in: &next)
                found.append(
                    (.orphanCommits(orphan.execution, request: orphan.request, effect: effect), next, violation))
            }
        }
        addTime(in: state, &found)
        return found
    }

    private func addStart(of index: Int, in state: ModelState, _ found: inout [Successor]) async {
        // Executions with equal clocks are alike: the first of them starts first.
        let isLater = (0..<index).contains {
            state.executions[$0].phase == .waiting && state.executions[$0].attempt == 0
                && bounds.clocks[$0] == bounds.clocks[index]
        }
        guard !isLater || state.executions[index].attempt > 0 else { return }
        var next = state
        next.executions[index].phase = .running
        next.executions[index].started = state.time
        let history = begin(index, attempt: next.executions[index].attempt, at: state.time)
        let violation = await proceed(index, with: history, in: &next)
        found.append((.starts(index), next, violation))
    }

    private func addSteps(
        of index: Int, _ execution: ModelState.Execution, in state: ModelState, _ found: inout [Successor]
    ) async throws {
        guard case .request(let pending) = await next(execution.history) else { return }
        let request = requests.number(of: pending)
        if state.crashes < bounds.crashes {
            var next = state
            next.crashes += 1
            let restarts = bounds.retries && execution.attempt == 0
            next.executions[index] = ModelState.Execution(
                phase: restarts ? .waiting : .over, attempt: restarts ? 1 : execution.attempt)
            if case .statement = pending { orphan(index, execution, request, in: &next) }
            found.append((.isKilled(index, request: request), next, nil))
        }
        if let wakes = execution.wakes {
            guard state.time >= wakes else { return }
            var next = state
            let violation = await reply(.awake, to: index, in: &next)
            found.append((.wakes(index), next, violation))
            return
        }
        if state.lateStatements < bounds.lateStatements, execution.isRepeated == false {
            var next = state
            next.lateStatements += 1
            orphan(index, execution, request, in: &next)
            let violation = await reply(.unknown, to: index, in: &next)
            found.append((.givesUp(index, request: request), next, violation))
        }
        for (effect, isFresh) in try await choices(request, execution.older, state) {
            var done = state
            let broken = try await commit(
                effect, of: request, by: index, execution.attempt, isFresh, isOrphan: false, in: &done)
            if state.lostReplies < bounds.lostReplies, !execution.isRepeated {
                var lost = done
                lost.lostReplies += 1
                var again = lost
                again.executions[index].older = []
                again.executions[index].isRepeated = true
                found.append((.repeats(index, request: request, effect: effect), again, broken))
                let violation = await reply(.unknown, to: index, in: &lost)
                found.append((.losesReply(index, request: request, effect: effect), lost, broken ?? violation))
            }
            let value = effects[effect]
            let violation = await reply(
                .result(rows: value.rows, affectedRows: value.affectedRows), to: index, in: &done)
            found.append(
                (.commits(index, request: request, effect: effect, isFresh: isFresh), done, broken ?? violation))
        }
    }

    private func orphan(
        _ index: Int, _ execution: ModelState.Execution, _ request: Int32, in state: inout ModelState
    ) {
        // A SELECT without a client changes nothing.
        if case .statement(_, let sql, _) = requests[request], sql.hasPrefix("SELECT") { return }
        state.orphans.append(
            ModelState.Orphan(
                execution: index, attempt: execution.attempt, request: request, older: execution.older,
                until: state.time.adding(bounds.longestOrphan)))
    }

    /// The effects that a pending statement may have: on the present rows, or on older ones if nothing that it would change was
    /// changed since.
    private func choices(
        _ request: Int32, _ older: [Int32], _ state: ModelState
    ) async throws -> [(effect: Int32, isFresh: Bool)] {
        let fresh = try await effect(request, on: state.contents)
        return [(fresh, true)] + older.filter { $0 != fresh }.map { ($0, false) }
    }

    private func commit(
        _ effect: Int32, of request: Int32, by index: Int, _ attempt: Int, _ isFresh: Bool, isOrphan: Bool,
        in state: inout ModelState
    ) async throws -> String? {
        let value = effects[effect]
        guard value.writes, case .statement(let purpose, _, let parameters) = requests[request] else { return nil }
        let old = state.contents
        let before = contents[old]
        var after = value.committed(to: before)
        let violation = scenario.committed(
            ModelCommit(
                execution: index, attempt: attempt, name: scenario.program(index, attempt: attempt).name,
                purpose: purpose, before: before, parameters: parameters, affectedRows: value.affectedRows ?? 0,
                isFresh: isFresh), &after, &state.notes)
        state.contents = contents.number(of: after)
        guard state.contents != old else { return violation }
        for other in state.executions.indices
        where (isOrphan || other != index) && state.executions[other].phase == .running
            && state.executions[other].wakes == nil
        {
            guard case .request(let pending) = await next(state.executions[other].history) else { continue }
            state.executions[other].older = try await remembered(
                requests.number(of: pending), state.executions[other].older, old, after)
        }
        for other in state.orphans.indices where state.orphans[other].until != nil {
            state.orphans[other].older = try await remembered(
                state.orphans[other].request, state.orphans[other].older, old, after)
        }
        return violation
    }

    private func remembered(
        _ request: Int32, _ older: [Int32], _ rows: Int32, _ after: ModelContents
    ) async throws -> [Int32] {
        let all = Set(older).union([try await effect(request, on: rows)])
        return all.filter { !effects[$0].conflicts(with: after) }.sorted()
    }

    /// Time goes on to the next instant at which something changes. It does not go past the end of a task.
    private func addTime(in state: ModelState, _ found: inout [Successor]) {
        let running = state.executions.filter { $0.phase == .running }
        let ends = running.map { $0.started.adding(bounds.taskTimeout) }
        guard !ends.contains(where: { $0 <= state.time }) else { return }
        // An execution that still has to start starts at an instant at which the rows change by themselves.
        guard state.executions.contains(where: { $0.phase != .over }) || !state.orphans.isEmpty else { return }
        let expiries = scenario.instants(in: contents[state.contents]).flatMap { instant in
            bounds.clocks.prefix(bounds.executions).map {
                instant.adding(.zero - $0)
            }
        }
        guard
            let instant = (ends + state.orphans.compactMap(\.until) + running.compactMap(\.wakes) + expiries).filter({
                $0 > state.time
            }).min()
        else {
            return
        }
        // A task that reaches its timeout is killed, and that is one of the crashes.
        let timeouts = running.filter { $0.started.adding(bounds.taskTimeout) <= instant }.count
        guard timeouts <= bounds.crashes - state.crashes else { return }
        var next = state
        next.time = instant
        for (index, orphan) in state.orphans.enumerated() where orphan.until.map({ $0 <= instant }) ?? false {
            next.orphans[index].until = nil
            next.orphans[index].older = []
        }
        found.append((.timePasses, next, nil))
    }

    /// The rule that is broken at the end, when nothing can happen anymore.
    func settled(_ state: ModelState) async throws -> String? {
        let rows = contents[state.contents]
        var later = state
        later.orphans = []
        later.executions = Array(repeating: ModelState.Execution(phase: .over), count: bounds.executions + 1)
        later.time = (scenario.instants(in: rows) + [state.time]).max()!.adding(.seconds(300))
        let probe = bounds.executions
        later.executions[probe].phase = .running
        var history = begin(probe, attempt: 0, at: later.time)
        var outcome = "never ended"
        for _ in 0..<100 {
            guard case .request(let pending) = await next(history) else {
                if case .ended(let word) = await next(history) { outcome = word }
                break
            }
            var content = ModelReply.Content.awake
            if case .sleep(let duration) = pending {
                later.time = later.time.adding(duration)
            } else {
                let request = requests.number(of: pending)
                let number = try await effect(request, on: later.contents)
                let value = effects[number]
                var after = value.committed(to: contents[later.contents])
                var notes: [Int] = []
                let name = scenario.program(probe, attempt: 0).name
                _ = scenario.committed(
                    ModelCommit(
                        execution: probe, attempt: 0, name: name, purpose: pending.purpose,
                        before: contents[later.contents], parameters: [], affectedRows: 0, isFresh: true), &after,
                    &notes)
                later.contents = contents.number(of: after)
                content = .result(rows: value.rows, affectedRows: value.affectedRows)
            }
            let reply = replies.number(of: ModelReply(content: content, time: later.time))
            history = histories.number(of: History(parent: history, value: reply, start: nil))
        }
        return scenario.settled(rows, state.notes, at: state.time, faults: state.faults, probe: outcome)
    }

    // MARK: words

    func words(for step: ModelStep, to state: ModelState) -> String {
        let seconds = state.time.since(Self.beginning).components.seconds
        let name = { (index: Int) in
            "execution \(self.scenario.program(index, attempt: 0).name)"
        }
        let asked = { (request: Int32) in "\"\(self.requests[request].purpose)\"" }
        let text =
            switch step {
            case .timePasses: "time passes"
            case .starts(let index):
                name(index) + (state.executions[index].attempt > 0 ? " starts again, as its next attempt" : " starts")
            case .wakes(let index): "\(name(index)) has waited"
            case .commits(let index, let request, let effect, let isFresh):
                "\(name(index)): \(asked(request)) \(did(effect))"
                    + (isFresh ? "" : ", on the rows before the last commits")
            case .losesReply(let index, let request, let effect):
                "\(name(index)): \(asked(request)) \(did(effect)), but the reply is lost"
            case .repeats(let index, let request, let effect):
                "\(name(index)): \(asked(request)) \(did(effect)), the reply is lost, and it is sent again"
            case .givesUp(let index, let request):
                "\(name(index)): \(asked(request)) loses its connection and may still be done later"
            case .isKilled(let index, let request): "\(name(index)) is killed during \(asked(request))"
            case .orphanCommits(let index, let request, let effect):
                "\(asked(request)) of \(name(index)), which nobody waits for, \(did(effect))"
            case .orphanVanishes(let index, let request):
                "\(asked(request)) of \(name(index)), which nobody waits for, never happens"
            }
        return "after \(seconds) s: \(text)"
    }

    private func did(_ effect: Int32) -> String {
        let value = effects[effect]
        return value.affectedRows.map { "changes \($0) rows" } ?? "finds \(value.rows.count) rows"
    }
}
