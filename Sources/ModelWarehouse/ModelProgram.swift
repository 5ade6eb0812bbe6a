import FoundationEssentials
import HTTPTransport
package import JobRuntime
import Synchronization
package import Warehouse

/// The shipped code of one execution, with the warehouse, clock and sleep that it is given.
package struct ModelProgram: Sendable {
    package typealias Sleep = @Sendable (Duration) async throws -> Void
    /// - Returns: How the execution ended, in a word or two.
    package typealias Body =
        @Sendable (_ warehouse: any SQLWarehouse, _ now: @escaping @Sendable () -> Timestamp, _ sleep: @escaping Sleep)
        async -> String

    package var name: String
    package var body: Body

    package init(_ name: String, _ body: @escaping Body) {
        self.name = name
        self.body = body
    }

    /// The next request of the execution after it got these replies.
    ///
    /// The code runs from its start each time, and gets the replies again. It does nothing else that can be seen, so the same
    /// replies always lead to the same request.
    func next(after replies: [ModelReply], startedAt start: Timestamp, _ mutant: ModelMutant?) async -> ModelProgress {
        let replay = Replay(name: name, replies: replies, start: start, mutant: mutant)
        let outcome = await body(replay, { replay.now }, { try replay.sleep($0) })
        return replay.pending.map { .request($0) } ?? .ended(outcome)
    }
}

/// A fault that is put into the text of statements on their way to the warehouse.
package struct ModelMutant: Sendable {
    package var name: String
    var apply: @Sendable (inout Statement) -> Void

    /// Replaces a text in each statement whose purpose begins so.
    init(_ name: String, in purpose: String, replace text: String, with other: String) {
        self.init(name) {
            guard $0.purpose.hasPrefix(purpose) else { return }
            $0.sql = $0.sql.replacing(text, with: other)
        }
    }

    /// Replaces the value of a parameter in each statement whose purpose begins so.
    init(
        _ name: String, in purpose: String, parameter: String, _ change: @escaping @Sendable (Statement) -> SQLValue
    ) {
        self.init(name) { statement in
            guard statement.purpose.hasPrefix(purpose) else { return }
            let index = statement.parameters.firstIndex { $0.name == parameter }!
            statement.parameters[index].value = change(statement)
        }
    }

    init(_ name: String, _ apply: @escaping @Sendable (inout Statement) -> Void) {
        self.name = name
        self.apply = apply
    }
}

enum ModelProgress: Sendable {
    case request(ModelRequest)
    case ended(String)
}

package enum ModelRequest: Hashable, Sendable {
    case statement(purpose: String, sql: String, parameters: [SQLValue.Field])
    case sleep(Duration)

    /// A pause, or a statement that changes nothing.
    var isReading: Bool {
        switch self {
        case .statement(_, let sql, _): sql.hasPrefix("SELECT")
        case .sleep: true
        }
    }

    var purpose: String {
        switch self {
        case .statement(let purpose, _, _): purpose
        case .sleep(let duration): "wait \(duration.components.seconds) s"
        }
    }
}

package struct ModelReply: Hashable, Sendable {
    package enum Content: Hashable, Sendable {
        case result(rows: [Row], affectedRows: Int64?)
        /// The connection broke: the statement is done, or will be, or never.
        case unknown
        case awake
    }

    var content: Content
    /// The execution's clock when it got the reply.
    var time: Timestamp
}

/// Answers a program's requests from a list, and stops the program at the first request that has no reply yet.
///
/// Tokens are random. In requests they get names such as `A-1`, in the order in which they come up; in replies the names become
/// the program's tokens again.
private final class Replay: SQLWarehouse {
    private struct Stopped: Error {}

    private struct State {
        var next = 0
        var time: Timestamp
        var pending: ModelRequest?
        var names: [String: String] = [:]
        var tokens: [String: String] = [:]
    }

    private let name: String
    private let replies: [ModelReply]
    private let mutant: ModelMutant?
    private let state: Mutex<State>

    init(name: String, replies: [ModelReply], start: Timestamp, mutant: ModelMutant?) {
        self.name = name
        self.replies = replies
        self.mutant = mutant
        state = Mutex(State(time: start))
    }

    var now: Timestamp { state.withLock { $0.time } }
    var pending: ModelRequest? { state.withLock { $0.pending } }

    func sleep(_ duration: Duration) throws {
        try state.withLock { _ = try answer(.sleep(duration), &$0) }
    }

    func query(_ statement: Statement) async throws -> QueryResult {
        try state.withLock { state in
            var statement = statement
            mutant?.apply(&statement)
            let parameters = statement.parameters.map {
                SQLValue.Field($0.name, mapped($0.value) { named($0, &state) })
            }
            let content = try answer(
                .statement(purpose: statement.purpose, sql: statement.sql, parameters: parameters), &state)
            guard case .result(let rows, let count) = content else {
                throw WarehouseError(
                    .transport, operation: statement.purpose, message: "the connection is gone", certainty: .unknown)
            }
            let tokens = state.tokens
            return QueryResult(
                rows: rows.map { row in
                    Row(row.fields.map { SQLValue.Field($0.name, mapped($0.value) { tokens[$0] ?? $0 }) })
                }, affectedRows: count)
        }
    }

    func merge(_ merge: MergeStatement) async throws -> MergeResult {
        preconditionFailure("the model has no MERGE")
    }

    private func answer(_ request: ModelRequest, _ state: inout State) throws -> ModelReply.Content {
        guard state.pending == nil else { throw Stopped() }
        guard state.next < replies.count else {
            state.pending = request
            throw Stopped()
        }
        let reply = replies[state.next]
        state.next += 1
        state.time = reply.time
        return reply.content
    }

    private func named(_ text: String, _ state: inout State) -> String {
        let id = String(text.suffix(36))
        guard text.utf8.count >= 36, UUID(uuidString: id) != nil else { return text }
        let name = state.names[id] ?? "\(name)-\(state.names.count + 1)"
        state.names[id] = name
        let whole = "\(text.dropLast(36))\(name)"
        state.tokens[whole] = text
        return whole
    }

    private func mapped(_ value: SQLValue, _ transform: (String) -> String) -> SQLValue {
        switch value {
        case .string(let text): .string(transform(text))
        case .array(let type, let values): .array(of: type, values.map { mapped($0, transform) })
        case .structure(let fields):
            .structure(fields.map { SQLValue.Field($0.name, mapped($0.value, transform)) })
        default: value
        }
    }
}
