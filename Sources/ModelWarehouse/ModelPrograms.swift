import JobRuntime
import Warehouse

/// The shipped code of all executions: what each of them asks for next after the replies that it got.
final class ModelPrograms {
    enum Next {
        case request(Int32)
        case ended(String)
    }

    private struct History: Hashable {
        var parent: Int32
        /// The number of the reply; of the first node, the program.
        var value: Int32
        var start: Timestamp?
    }

    /// Histories that the code cannot tell apart anymore.
    private struct Likeness: Hashable {
        var program: Int32
        var memory: [Int]
        /// The request or the outcome; see ``nextOf``.
        var next: Int32
    }

    private let scenario: any ModelScenario
    private let mutant: ModelMutant?
    private(set) var requests = Interned<ModelRequest>()
    /// Requests that change nothing wherever they are done.
    private var isReading: [Bool] = []
    private var outcomes = Interned<String>()
    private var replies = Interned<ModelReply>()
    private var histories = Interned<History>()
    /// By history, as far as the scenario says so.
    private var memoryOf: [Int32: [Int]] = [:]
    private var first: [Likeness: Int32] = [:]
    private var alike: [Int32: Int32] = [:]
    /// By history: 0 is not known yet, n is the request n - 1, -n the outcome n - 1.
    private var nextOf: [Int32] = []
    private(set) var replays = 0
    let names: [[String]]

    init(_ scenario: any ModelScenario, _ mutant: ModelMutant?) {
        self.scenario = scenario
        self.mutant = mutant
        names = (0...scenario.bounds.executions).map { index in
            (0...1).map { scenario.program(index, attempt: $0).name }
        }
    }

    /// - Returns: The number of a history without a reply.
    func begin(_ execution: Int, attempt: Int, at clock: Timestamp) -> Int32 {
        let number = histories.number(
            of: History(parent: -1, value: Int32(execution * 2 + attempt), start: clock))
        if scenario.bounds.forgets { memoryOf[number] = scenario.memoryAtStart }
        return number
    }

    /// - Returns: The number of the history, or of the first one that is like it.
    func history(_ history: Int32, after content: ModelReply.Content, at clock: Timestamp) async -> Int32 {
        let reply = replies.number(of: ModelReply(content: content, time: clock))
        let number = histories.number(of: History(parent: history, value: reply, start: nil))
        if let known = alike[number] { return known }
        guard let old = memoryOf[history], case .request(let request) = await next(history) else { return number }
        let memory = scenario.memory(old, after: requests[request].purpose, content, number: Int(reply))
        _ = await next(number)
        let key = Likeness(program: program(of: history), memory: memory, next: nextOf[Int(number)])
        let found = first[key] ?? number
        if found == number {
            first[key] = number
            memoryOf[number] = memory
        }
        alike[number] = found
        return found
    }

    private func program(of history: Int32) -> Int32 {
        var node = histories[history]
        while node.parent >= 0 { node = histories[node.parent] }
        return node.value
    }

    func next(_ history: Int32) async -> Next {
        let place = Int(history)
        if place >= nextOf.count {
            nextOf += [Int32](repeating: 0, count: histories.values.count - nextOf.count)
        }
        if nextOf[place] == 0 { nextOf[place] = await run(history) }
        let found = nextOf[place]
        return found > 0 ? .request(found - 1) : .ended(outcomes[-found - 1])
    }

    private func run(_ history: Int32) async -> Int32 {
        var list: [ModelReply] = []
        var node = histories[history]
        while node.parent >= 0 {
            list.append(replies[node.value])
            node = histories[node.parent]
        }
        replays += 1
        let program = scenario.program(Int(node.value) / 2, attempt: Int(node.value) % 2)
        switch await program.next(after: list.reversed(), startedAt: node.start!, mutant) {
        case .request(let request):
            let number = requests.number(of: request)
            if Int(number) == isReading.count { isReading.append(request.isReading) }
            return number + 1
        case .ended(let outcome): return -outcomes.number(of: outcome) - 1
        }
    }

    func isReading(_ request: Int32) -> Bool { isReading[Int(request)] }
}
