import JobRuntime
import Warehouse

/// The steps that are possible in a state.
///
/// Some steps are left out, because the others lead to every state that they lead to, or to one from which more can happen:
///
/// - An execution starts, or wakes, at the beginning of an instant: its statement may still be done at any later moment.
/// - An execution is killed during a statement that changes rows: a kill during a read equals a kill during the statement before
///   it, which is then done without a client.
/// - A statement without a client never vanishes. It stays pending, and the rules of the end are checked while it is.
final class ModelEngine {
    typealias Successor = (step: ModelStep, state: ModelState, violation: String?)

    private struct End: Hashable {
        var contents: Int32
        var notes: Int32
        var time: Timestamp
        var isFaulty: Bool
    }

    private let scenario: any ModelScenario
    private let bounds: ModelBounds
    let programs: ModelPrograms
    let rows: ModelRows
    private var ends: [End: String?] = [:]
    /// The rows at the ends that were reached.
    var lastRows: Set<ModelContents> { Set(ends.keys.map { rows.contents[$0.contents] }) }

    static let beginning = Timestamp("2026-01-31T00:05:00Z")!

    init(_ scenario: any ModelScenario, _ mutant: ModelMutant?) async throws {
        self.scenario = scenario
        bounds = scenario.bounds
        programs = ModelPrograms(scenario, mutant)
        rows = try await ModelRows(scenario, programs)
    }

    func start() -> ModelState {
        let (contents, notes) = rows.start(at: Self.beginning)
        return ModelState(
            contents: contents, notes: notes, time: Self.beginning,
            executions: Array(repeating: ModelState.Execution(), count: bounds.executions))
    }

    private func clock(_ execution: Int, _ time: Timestamp) -> Timestamp {
        time.adding(execution < bounds.executions ? bounds.clock(of: execution) : .zero)
    }

    /// The execution gets a reply and goes on to its next request or its end.
    private func reply(
        _ content: ModelReply.Content, to index: Int, in state: inout ModelState
    ) async -> String? {
        let history = await programs.history(
            state.executions[index].history, after: content, at: clock(index, state.time))
        return await proceed(index, with: history, in: &state)
    }

    private func proceed(_ index: Int, with history: Int32, in state: inout ModelState) async -> String? {
        let wasRepeated = state.executions[index].isRepeated
        state.executions[index].history = history
        state.executions[index].older = []
        state.executions[index].isRepeated = false
        state.executions[index].wakes = nil
        switch await programs.next(history) {
        case .request(let request):
            if case .sleep(let duration) = programs.requests[request] {
                state.executions[index].wakes = state.time.adding(duration)
            }
            return nil
        case .ended(let outcome):
            let attempt = state.executions[index].attempt
            state.executions[index] = ModelState.Execution(phase: .over, attempt: attempt)
            // Between a statement and its repetition others may have seen what would be forgotten.
            defer { if !wasRepeated { forget(index, attempt, in: &state) } }
            return scenario.ended(
                outcome, of: index, attempt: attempt, faults: state.faults, rows.contents[state.contents],
                rows.notes[state.notes])
        }
    }

    private func forget(_ index: Int, _ attempt: Int, in state: inout ModelState) {
        guard !state.orphans.contains(where: { $0.execution == index && $0.attempt == attempt }) else { return }
        let done = rows.forget(index, attempt, state.contents, state.notes)
        (state.contents, state.notes) = (done.contents, done.notes)
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
            for (effect, isFresh) in try await choices(orphan.request, orphan.older, state)
            where rows.effects[effect].writes {
                var next = state
                next.isFresh = false
                next.orphans.remove(at: index)
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
        let attempt = state.executions[index].attempt
        guard state.isFresh || attempt > 0 || !state.isAnyoneRunning else { return }
        // Of executions that are alike, the first one starts first.
        let isLater = (0..<index).contains {
            state.executions[$0].phase == .waiting && state.executions[$0].attempt == 0
                && bounds.clock(of: $0) == bounds.clock(of: index) && scenario.areAlike($0, index)
        }
        guard !isLater || attempt > 0 else { return }
        var next = state
        next.executions[index].phase = .running
        next.executions[index].started = state.time
        let history = programs.begin(index, attempt: attempt, at: clock(index, state.time))
        let violation = await proceed(index, with: history, in: &next)
        found.append((.starts(index), next, violation))
    }

    private func addSteps(
        of index: Int, _ execution: ModelState.Execution, in state: ModelState, _ found: inout [Successor]
    ) async throws {
        guard case .request(let request) = await programs.next(execution.history) else { return }
        var state = state
        if let wakes = execution.wakes {
            guard state.time >= wakes, state.isFresh else { return }
            let violation = await reply(.awake, to: index, in: &state)
            return found.append((.wakes(index), state, violation))
        }
        state.isFresh = false
        let isReading = programs.isReading(request)
        let mayFail = scenario.mayFail(index)
        if state.crashes < bounds.crashes, mayFail, !isReading {
            var next = state
            next.crashes += 1
            let restarts = bounds.retries && execution.attempt == 0
            next.executions[index] = ModelState.Execution(
                phase: restarts ? .waiting : .over, attempt: restarts ? 1 : execution.attempt)
            orphan(index, execution, request, in: &next)
            found.append((.isKilled(index, request: request), next, nil))
        }
        if state.lateStatements < bounds.lateStatements, mayFail, !isReading, !execution.isRepeated {
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
            if state.lostReplies < bounds.lostReplies, mayFail, !execution.isRepeated {
                var lost = done
                lost.lostReplies += 1
                if rows.effects[effect].writes {
                    var again = lost
                    again.executions[index].older = []
                    again.executions[index].isRepeated = true
                    found.append((.repeats(index, request: request, effect: effect), again, broken))
                }
                let violation = await reply(.unknown, to: index, in: &lost)
                found.append((.losesReply(index, request: request, effect: effect), lost, broken ?? violation))
            }
            let value = rows.effects[effect]
            let violation = await reply(
                .result(rows: value.rows, affectedRows: value.affectedRows), to: index, in: &done)
            found.append(
                (.commits(index, request: request, effect: effect, isFresh: isFresh), done, broken ?? violation))
        }
    }

    private func orphan(
        _ index: Int, _ execution: ModelState.Execution, _ request: Int32, in state: inout ModelState
    ) {
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
        let fresh = try await rows.effect(request, on: state.contents)
        return [(fresh, true)] + older.filter { $0 != fresh }.map { ($0, false) }
    }

    private func commit(
        _ effect: Int32, of request: Int32, by index: Int, _ attempt: Int, _ isFresh: Bool, isOrphan: Bool,
        in state: inout ModelState
    ) async throws -> String? {
        guard rows.effects[effect].writes else { return nil }
        let old = state.contents
        let done = rows.committed(
            ModelRows.Commit(
                effect: effect, request: request, contents: old, notes: state.notes,
                execution: Int32(index * 2 + attempt), isFresh: isFresh))
        (state.contents, state.notes) = (done.contents, done.notes)
        guard state.contents != old else { return done.violation }
        for other in state.executions.indices
        where (isOrphan || other != index) && state.executions[other].phase == .running
            && state.executions[other].wakes == nil
        {
            guard case .request(let pending) = await programs.next(state.executions[other].history) else { continue }
            state.executions[other].older = try await remembered(
                pending, state.executions[other].older, old, state.contents)
        }
        for other in state.orphans.indices where state.orphans[other].until != nil {
            state.orphans[other].older = try await remembered(
                state.orphans[other].request, state.orphans[other].older, old, state.contents)
        }
        return done.violation
    }

    private func remembered(
        _ request: Int32, _ older: [Int32], _ before: Int32, _ after: Int32
    ) async throws -> [Int32] {
        var all = older
        let last = try await rows.effect(request, on: before)
        if !all.contains(last) { all.append(last) }
        let isReading = programs.isReading(request)
        return all.filter { isReading || !rows.conflicts($0, with: after) }.sorted()
    }

    /// Time goes on to the next instant at which something changes. It does not go past the end of a task.
    private func addTime(in state: ModelState, _ found: inout [Successor]) {
        guard !state.isOver else { return }
        let running = state.executions.filter { $0.phase == .running }
        let ends = running.map { $0.started.adding(bounds.taskTimeout) }
        guard !ends.contains(where: { $0 <= state.time }) else { return }
        // An execution that still has to start starts at an instant at which the rows change by themselves.
        let changes = scenario.instants(in: rows.contents[state.contents]).flatMap { instant in
            (0..<bounds.executions).map { instant.adding(.zero - bounds.clock(of: $0)) }
        }
        let wakes = running.compactMap(\.wakes)
        let instants = ends + changes + state.orphans.compactMap(\.until) + (bounds.hasLongPauses ? [] : wakes)
        let next = instants.filter { $0 > state.time }.min()
        if let next, isPossible(next, state, ends) { return addTime(next, in: state, &found) }
        guard bounds.hasLongPauses, let next = wakes.filter({ $0 > state.time }).min(), isPossible(next, state, ends)
        else { return }
        addTime(next, in: state, &found)
    }

    /// A task that reaches its timeout is killed, and that is one of the crashes.
    private func isPossible(_ instant: Timestamp, _ state: ModelState, _ ends: [Timestamp]) -> Bool {
        ends.count { $0 <= instant } <= bounds.crashes - state.crashes
    }

    private func addTime(_ instant: Timestamp, in state: ModelState, _ found: inout [Successor]) {
        var next = state
        next.time = instant
        next.isFresh = true
        for (index, orphan) in state.orphans.enumerated() where orphan.until.map({ $0 <= instant }) ?? false {
            next.orphans[index].until = nil
            next.orphans[index].older = []
        }
        found.append((.timePasses, next, nil))
    }

    // MARK: the end

    /// The rule that is broken when no execution goes on. One more execution runs later, alone.
    func settled(_ state: ModelState) async throws -> String? {
        let end = End(
            contents: state.contents, notes: state.notes, time: state.time, isFaulty: state.faults > 0)
        if let known = ends[end] { return known }
        let contents = rows.contents[state.contents]
        let probe = bounds.executions
        var time = (scenario.instants(in: contents) + [state.time]).max()!.adding(.seconds(300))
        var history = programs.begin(probe, attempt: 0, at: time)
        var (later, outcome) = (state.contents, "never ended")
        for _ in 0..<200 {
            guard case .request(let request) = await programs.next(history) else {
                if case .ended(let word) = await programs.next(history) { outcome = word }
                break
            }
            var content = ModelReply.Content.awake
            if case .sleep(let duration) = programs.requests[request] {
                time = time.adding(duration)
            } else {
                let effect = try await rows.effect(request, on: later)
                if rows.effects[effect].writes {
                    // The rules of a commit are for the executions before the end.
                    later =
                        rows.committed(
                            ModelRows.Commit(
                                effect: effect, request: request, contents: later, notes: state.notes,
                                execution: Int32(probe * 2), isFresh: true)
                        ).contents
                }
                let value = rows.effects[effect]
                content = .result(rows: value.rows, affectedRows: value.affectedRows)
                // A reading counts as newer only if it began after the one before had ended.
                time = time.adding(.seconds(1))
            }
            history = await programs.history(history, after: content, at: time)
        }
        let found = scenario.settled(
            contents, rows.notes[state.notes], at: state.time, faults: state.faults, probe: outcome,
            rows.contents[later])
        ends[end] = .some(found)
        return found
    }
}
