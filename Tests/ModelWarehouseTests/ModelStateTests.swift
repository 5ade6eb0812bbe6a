import JobRuntime
import Testing
import Warehouse

@testable import ModelWarehouse

@Suite struct ModelStateTests {
    private static var state: ModelState {
        var state = ModelState(
            contents: 7, notes: 300, time: ModelEngine.beginning.adding(.seconds(600)),
            executions: Array(repeating: ModelState.Execution(), count: 2))
        state.executions[1].phase = .running
        state.executions[1].attempt = 1
        state.executions[1].history = 70_000
        state.executions[1].older = [3, 9]
        state.executions[1].started = ModelEngine.beginning.adding(.seconds(-20))
        state.executions[1].wakes = ModelEngine.beginning.adding(.seconds(610))
        state.orphans = [
            .init(execution: 1, attempt: 0, request: 5, older: [1], until: nil),
            .init(execution: 0, attempt: 0, request: 4, older: [], until: ModelEngine.beginning),
        ]
        (state.crashes, state.lostReplies, state.lateStatements, state.isFresh) = (2, 1, 3, false)
        return state
    }

    @Test func aStateIsReadBackFromItsBytes() {
        let bytes = Self.state.bytes()

        let read = ModelState(bytes[...], executions: 2)

        #expect(read.bytes() == bytes)
        #expect(read.executions == Self.state.executions)
        #expect(Set(read.orphans) == Set(Self.state.orphans))
        #expect((read.contents, read.notes, read.time) == (7, 300, Self.state.time))
        #expect((read.crashes, read.lostReplies, read.lateStatements, read.isFresh) == (2, 1, 3, false))
    }

    @Test func theOrderOfStatementsWithoutAClientIsNoDifference() {
        var other = Self.state
        other.orphans.reverse()

        #expect(other.bytes() == Self.state.bytes())
    }

    @Test func eachStateIsVisitedOnceWhileTheIndexGrows() {
        var visited = VisitedStates()
        func fingerprint(_ number: Int) -> VisitedStates.Fingerprint {
            .init(of: (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) })
        }

        let new = (0..<100_000).map { visited.insert(fingerprint($0), from: UInt32($0)) }

        #expect(new == (0..<100_000).map { UInt32($0) })
        #expect((0..<100_000).allSatisfy { visited.insert(fingerprint($0), from: 0) == nil })
        #expect(visited.parent(of: 99_999) == 99_999)
        #expect(visited.fingerprint(of: 5) == fingerprint(5))
    }

    /// BigQuery lets only one of two transactions commit that update one table, even if each of them adds rows of its own.
    @Test func aTransactionConflictsWithAChangeOfATableThatItUpdates() {
        let row: [SQLValue] = [.int64(1)]
        let effect = ModelEffect(
            guarded: [.init(table: 0, rows: [:])], inserted: [[row]], rows: [], affectedRows: nil)

        #expect(!effect.conflicts(with: ModelContents(tables: [[:]])))
        #expect(effect.conflicts(with: ModelContents(tables: [[1: row]])))
    }

    @Test func insertsWithoutATransactionNeverConflict() {
        let row: [SQLValue] = [.int64(1)]
        let effect = ModelEffect(inserted: [[row]], rows: [], affectedRows: 1)

        #expect(!effect.conflicts(with: ModelContents(tables: [[1: row]])))
        #expect(effect.committed(to: ModelContents(tables: [[1: row]])).tables[0].count == 2)
    }
}
